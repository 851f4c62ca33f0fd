"""Training on the shipped mini model: the trained folder, the cache, settings and their limits."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from sketchfusion.features import SketchFusion
from sketchfusion.fusion import PHOTO, Centring, FusionConfig
from sketchfusion.lab import datasets
from sketchfusion.lab.training.bank import PictureArray
from sketchfusion.lab.training.feature_cache import InputBatch
from sketchfusion.lab.training.loop import Losses
from sketchfusion.lab.training.objective import Forward, Objective, Training
from sketchfusion.lab.training.recipes import RECIPES, RetrievalRecipe, UniversalRecipe, as_text, with_settings
from sketchfusion.lab.training.train import METHODS, TASKS, choose, train, train_task
from sketchfusion.world import export

SHORT = {"steps": "2", "classes": "3", "views": "1", "warmup": "1", "per_class": "2", "full_per_class": "2"}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("world")
    export(root, 0, ["cat", "car", "chair"], "seen", 4, 128)
    return root


def test_a_trained_folder_loads_and_answers_differently(root: Path, tmp_path: Path) -> None:
    trained = train_task("retrieval", [datasets.open(root)], tmp_path / "out", settings=SHORT)
    loaded = SketchFusion.from_pretrained(tmp_path / "out")
    photo = next(root.rglob("*.jpg"))
    assert torch.equal(loaded.embed([photo]), trained.embed([photo]))
    torch.manual_seed(0)
    maps = [model.extract(photo)[0].data for model in (loaded, SketchFusion.untrained("mini"))]
    assert not torch.allclose(*maps, atol=1e-3)
    moved = loaded.model.light.state_dict()
    assert all(bool(moved[name].any()) for name in moved if name.startswith("injection") and "weight" in name)


class Convolution:
    """A method whose model is a 1x1 convolution; notes in which type it computes."""

    def __init__(self) -> None:
        self.trained, self.centring, self.width, self.origin = nn.Conv2d(3, 8, 1), Centring(8), 8, "none"
        self.model, self.types = SimpleNamespace(device=torch.device("cpu")), set[torch.dtype]()
        self.precision = torch.bfloat16

    def maps(self, inputs: tuple[torch.Tensor, ...], kind: int) -> torch.Tensor:
        maps: torch.Tensor = self.trained(inputs[0])
        self.types.add(maps.dtype)
        return maps

    def prepare_serving(self) -> bool:
        return False


class Cosines(Objective[torch.Tensor]):
    """Brings the cosines of a batch to 0; notes in which type they are computed."""

    def __init__(self) -> None:
        super().__init__()
        self.types = set[torch.dtype]()

    def draw(self, data: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        return data

    def losses(self, forward: Forward, drawn: torch.Tensor) -> Losses:
        pooled = forward(InputBatch((lambda: drawn,)), PHOTO).pooled()
        cosines = pooled @ pooled.T
        self.types.add(cosines.dtype)
        return {"loss": cosines.square().mean()}


def test_where_the_model_computes_in_bf16_losses_are_float32(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sketchfusion.lab.training.loop.computes_in_bf16", lambda *_: True)
    method, objective, pictures = Convolution(), Cosines(), torch.rand(4, 3, 2, 2)
    training = Training(objective, pictures, pictures, None)
    train(method, training, RetrievalRecipe(steps=2, warmup=1), tmp_path)  # type: ignore[arg-type]
    assert method.types == {torch.bfloat16} and objective.types == {torch.float32}


def test_unknown_tasks_and_settings_and_too_little_data_are_refused(root: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="'cooking' is not available"):
        train_task("cooking", [datasets.open(root)], tmp_path)
    with pytest.raises(ValueError, match="'rate' is not a setting; choose from steps"):
        train_task("retrieval", [datasets.open(root)], tmp_path, settings={"rate": "1"})
    cats = next(root.rglob("photo/*/cat"))
    with pytest.raises(ValueError, match="fewer than two classes"):
        train_task("retrieval", [datasets.open(cats)], tmp_path / "out")


def test_an_ablation_is_a_setting_of_the_light_parts(root: Path, model_folder: Path, tmp_path: Path) -> None:
    settings = {**SHORT, "fusion.bottlenecks": "false"}
    train_task("retrieval", [datasets.open(root)], tmp_path, str(model_folder), settings=settings)
    kept = SketchFusion.from_pretrained(tmp_path)
    assert not kept.config.fusion.bottlenecks and not list(kept.model.light.aggregation.branches.parameters())
    with pytest.raises(ValueError, match="'depth' is not a setting"):
        train_task("retrieval", [datasets.open(root)], tmp_path, settings={"fusion.depth": "3"})


def test_settings_take_the_type_of_the_recipe() -> None:
    assert with_settings(FusionConfig(), {"branch_weights": "false", "inject_at": "up0+up1"}) == FusionConfig(
        branch_weights=False, inject_at=("up0", "up1")
    )
    assert with_settings(RetrievalRecipe(), {"lr": "0.5", "steps": "7"}) == RetrievalRecipe(lr=0.5, steps=7)
    with pytest.raises(ValueError, match="steps='many' is not a int"):
        with_settings(RetrievalRecipe(), {"steps": "many"})


@pytest.mark.parametrize("name", ["steps", "accumulate", "classes", "views", "retrieval.classes"])
def test_settings_that_cannot_be_are_refused(name: str) -> None:
    recipe = UniversalRecipe() if "." in name else RetrievalRecipe()
    for value in ("0", "-1"):
        with pytest.raises(ValueError, match=f"{name.rpartition('.')[2]}={value}' must be at least 1"):
            with_settings(recipe, {name: value})
    assert with_settings(recipe, {name: "1"}) != recipe or name == "accumulate"


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("recipe", RECIPES)
def test_every_recipe_has_settings_that_its_task_and_every_method_know(task: str, recipe: str) -> None:
    if (task, recipe) == ("universal", "paper"):
        with pytest.raises(ValueError, match="there is no recipe paper for universal"):
            choose(task, "SketchFusion", {}, recipe)
        return
    for method, settings in METHODS.items():
        chosen, _ = choose(task, method, {"seed": "3"}, recipe)
        assert chosen.seed == 3 and (chosen.steps >= 12_000) == (recipe != "mini")
        assert chosen.lr == float(settings.defaults.get("lr", chosen.lr)), "a baseline has a rate of its own"
    shown = choose(task, "SketchFusion", {}, recipe)[1]
    alone = {"whole": "0", "dense": "0", "local": "false"}
    assert shown == (alone if recipe == "paper" else {})  # the paper compares the fused maps alone


def test_an_unknown_recipe_is_refused() -> None:
    with pytest.raises(ValueError, match="no recipe is called 'best'; choose one of mini, full, paper"):
        choose("retrieval", "SketchFusion", {}, "best")


def test_no_limit_of_pictures_of_a_class_takes_all() -> None:
    bank = PictureArray("sketch", np.zeros((5, 1, 8, 8), np.uint8), [("cat",)] * 3 + [("car",)] * 2)
    assert [len(bank.named({"cat", "car"}, most)) for most in (1, 2, 0)] == [2, 4, 5]


def test_settings_that_may_be_zero_may_not_be_negative() -> None:
    for name in ("lr", "warmup", "patience", "seconds", "validate_every", "validation_batches", "per_class"):
        assert getattr(with_settings(RetrievalRecipe(), {name: "0"}), name) == 0
        with pytest.raises(ValueError, match=f"'{name}=-1' must be at least 0"):
            with_settings(RetrievalRecipe(), {name: "-1"})
    for value in ("nan", "inf"):
        with pytest.raises(ValueError, match=f"'lr={value}' must be a finite number"):
            with_settings(RetrievalRecipe(), {"lr": value})


@pytest.mark.parametrize(
    ("setting", "line"),
    [
        ("recognition.smoothing=2", "'recognition.smoothing=2' must be at most 1"),
        ("segmentation.temperature=0", "'segmentation.temperature=0' must be at least 0.001"),
        ("segmentation.absent=-1", "'segmentation.absent=-1' must be at least 0"),
        ("correspondence.flow=-1", "'correspondence.flow=-1' must be at least 0"),
        ("retrieval.margin=-1", "'retrieval.margin=-1' must be at least 0"),
        ("full_size_after=7", "'full_size_after=7' must be at most 1"),
        ("seed=99999999999999999999", "must be at most 1000000000"),
    ],
)
def test_settings_out_of_range_are_refused(setting: str, line: str) -> None:
    with pytest.raises(ValueError, match=line):
        with_settings(UniversalRecipe(), dict([setting.split("=")]))


def test_settings_take_task_names_with_a_hyphen() -> None:
    assert with_settings(UniversalRecipe(), {"weights.instance-retrieval": "3"}).weights.instance_retrieval == 3


def test_a_timestep_is_between_0_and_999(root: Path, tmp_path: Path) -> None:
    for value, line in (("5000", "at most 999"), ("-1", "at least 0")):
        with pytest.raises(ValueError, match=f"'timestep={value}' must be {line}"):
            train_task("retrieval", [datasets.open(root)], tmp_path, settings={"fusion.timestep": value})
    assert [with_settings(FusionConfig(), {"timestep": of}).timestep for of in ("0", "999")] == [0, 999]


def test_settings_as_text_can_be_set_again() -> None:
    recipe = UniversalRecipe(retrieval=RetrievalRecipe(classes=3, lr=1e-4))
    assert as_text(recipe)["retrieval.classes"] == "3"
    assert with_settings(UniversalRecipe(), as_text(recipe)) == recipe
