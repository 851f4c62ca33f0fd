"""Training of every task on tiny models: losses fall, heads are kept and used, runs resume, bad input is named."""

from __future__ import annotations

import csv
import math
import shutil
from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from itertools import cycle
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from fixtures.roots import SMALL, measure_few, training_data
from sketchfusion.backbones.diffusion import FrozenDiffusion
from sketchfusion.backbones.encoders import FrozenClip
from sketchfusion.cli import app, terminal
from sketchfusion.extractor import TrainedExtractor
from sketchfusion.featuremap import FeatureMap
from sketchfusion.features import SketchFusion, read_light_weights
from sketchfusion.io.weights import WeightsError
from sketchfusion.lab import datasets
from sketchfusion.lab.datasets import Dataset
from sketchfusion.lab.datasets.base import held_out
from sketchfusion.lab.training.correspondence import CorrespondenceObjective
from sketchfusion.lab.training.loop import CHECKPOINT, Checkpoint, Losses
from sketchfusion.lab.training.methods import Fused
from sketchfusion.lab.training.recipes import CorrespondenceRecipe
from sketchfusion.lab.training.segmentation import SegmentationObjective
from sketchfusion.lab.training.train import TASKS, train_task
from sketchfusion.tasks.recognition import recognize
from sketchfusion.world import export

pytestmark = pytest.mark.usefixtures("few_measured")
SHORT = {"steps": "4", "warmup": "1", "validate_every": "2", "validation_batches": "1"}
ONCE = {"steps": "1"}
FEW = {task: SHORT | small for task, small in SMALL.items()}
# Of the trainings that several tests look at, some are as long as it takes to learn something.
FALLING = ("recognition", "correspondence", "segmentation")
LONGER = {"steps": "16", "lr": "0.02", "validate_every": "8", "full_size_after": "1", "batch": "8"}
SHARED = FEW | {task: FEW[task] | LONGER for task in FALLING}
SHARED["universal"] |= {"weights.retrieval": "3", "weights.segmentation": "0"}
Left = Callable[[str], tuple[Path, TrainedExtractor]]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> list[Dataset]:
    """Photos with sketches of their own, and a segmentation folder."""
    return training_data(tmp_path_factory.mktemp("roots"))


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What is kept of the pictures, shared by the trainings that do not ask whether it is there."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def left(data: list[Dataset], model_folder: Path, cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Left:
    """What training leaves for a task: the folder, and the model as it was in training."""

    @lru_cache
    def of(task: str) -> tuple[Path, TrainedExtractor]:
        out = tmp_path_factory.mktemp(task)
        with pytest.MonkeyPatch.context() as patch:
            measure_few(patch)
            return out, train_task(task, data, out, str(model_folder), settings=SHARED[task], cache=cache)

    return of


@pytest.fixture
def recogniser(left: Left) -> Path:
    """What training leaves for recognition."""
    return left("recognition")[0]


def log(out: Path, task: str, name: str = "log") -> list[dict[str, str]]:
    return list(csv.DictReader((out / "training" / task / f"{name}.csv").open()))


@pytest.mark.parametrize("task", TASKS)
def test_every_task_leaves_a_folder_that_loads_for_it(task: str, data: list[Dataset], left: Left) -> None:
    out, trained = left(task)
    steps = int(SHARED[task]["steps"])
    assert [row["step"] for row in log(out, task)] == [f"{step}" for step in range(steps)]
    assert [row["step"] for row in log(out, task, "validation")] == [f"{steps // 2}", f"{steps}"]
    checkpoint = Checkpoint.read(out / "training" / task / CHECKPOINT)
    assert {name.partition(".")[0] for name in checkpoint.tensors} == {"model", "optimiser"}  # no unused average
    loaded = SketchFusion.from_pretrained(out, task=task)
    photo = next(data[0].root.rglob("*.jpg"))
    assert torch.equal(loaded.embed([photo]), trained.embed([photo]))
    light = loaded.model.light.state_dict()
    assert all(bool(light[name].any()) for name in light if name.startswith("injection") and "weight" in name)
    assert bool(light["centring.centre"].any())
    assert (loaded.heads.classifier is not None) == (task in ("recognition", "universal"))
    assert (loaded.heads.threshold is not None) == (task in ("segmentation", "universal"))


# How far each loss of a batch wanders is more than a few steps take away, so means of the two ends are compared.
@pytest.mark.parametrize("task", FALLING)
def test_losses_fall(task: str, left: Left) -> None:
    losses = [float(row["loss"]) for row in log(left(task)[0], task)]
    assert sum(losses[-4:]) < 0.9 * sum(losses[:4])


def test_with_a_warm_cache_no_task_runs_a_frozen_encoder(
    data: list[Dataset], model_folder: Path, cache: Path, left: Left, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    left("universal")

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a frozen encoder ran although the cache is warm")

    monkeypatch.setattr(SegmentationObjective, "calibrate", lambda *_: None)  # it asks the model as it is served
    monkeypatch.setattr(FrozenDiffusion, "encode", refuse)
    monkeypatch.setattr(FrozenClip, "forward", refuse)
    train_task("universal", data, tmp_path, str(model_folder), settings=FEW["universal"] | ONCE, cache=cache)


def test_each_loss_counts_by_its_weight_in_the_universal_sum(left: Left) -> None:
    counts = {"retrieval": 3, "instance-retrieval": 0.2, "recognition": 1, "correspondence": 2, "segmentation": 0}
    row = log(left("universal")[0], "universal")[0]
    assert float(row["loss"]) == pytest.approx(sum(by * float(row[task]) for task, by in counts.items()), rel=1e-3)
    assert float(row["segmentation"]) > 0


@pytest.mark.parametrize(("task", "only"), [("retrieval", "triplet"), ("segmentation", "presence")])
def test_the_recipe_of_the_paper_has_no_loss_but_the_papers(
    task: str, only: str, data: list[Dataset], model_folder: Path, cache: Path, tmp_path: Path
) -> None:
    train_task(task, data, tmp_path, str(model_folder), settings=FEW[task] | ONCE, recipe="paper", cache=cache)
    (row,) = log(tmp_path, task)
    assert float(row["loss"]) == pytest.approx(float(row[only]), rel=1e-4)
    assert all(float(value) > 0 for value in row.values() if value != row["step"])  # the others are told, not minimised


def test_a_trained_classifier_decides_among_its_classes_and_text_among_other_names(
    data: list[Dataset], model_folder: Path, recogniser: Path
) -> None:
    loaded = SketchFusion.from_pretrained(recogniser)
    sketches = sorted(data[0].root.rglob("*-1.png"))[:4]
    assert loaded.classes == ("car", "cat", "chair")
    logits = loaded.classify(sketches)
    views = [loaded.prepare(sketch, "sketch") for sketch in sketches]
    head = loaded.heads.classifier
    assert head is not None
    with torch.no_grad():
        by_hand = torch.stack([view_logits(loaded, view, head) for view in views])
    assert torch.allclose(logits, by_hand, atol=1e-4)
    untrained = SketchFusion.from_pretrained(model_folder)
    offered = ["chair", "teapot", "cat"]
    said = [{g.label: g.score for g in row} for row in recognize(untrained, sketches, offered)]
    for guesses, text, row in zip(recognize(loaded, sketches, offered), said, logits.softmax(1), strict=True):
        known = {name: math.sqrt(text[name] * float(row[place])) for name, place in (("cat", 1), ("chair", 2))}
        shared = (text["cat"] + text["chair"]) / sum(known.values())
        expected = {name: mean * shared for name, mean in known.items()} | {"teapot": text["teapot"]}
        assert {g.label: g.score for g in guesses} == pytest.approx(expected, abs=1e-5)
    assert recognize(loaded, sketches, ["cat", "teapot"]) == recognize(untrained, sketches, ["cat", "teapot"])
    photos = sorted(data[0].root.rglob("*.jpg"))[:1]
    assert recognize(loaded, photos, ["cat", "car"], kind="photo") == recognize(
        untrained, photos, ["cat", "car"], kind="photo"
    )
    with pytest.raises(ValueError, match="has no classifier; `sketchfusion train recognition` makes one"):
        untrained.classify(photos)


def view_logits(model: SketchFusion, view: object, head: object) -> torch.Tensor:
    pooled = FeatureMap(model.forward([view]).maps[0], view.frame).pooled()  # type: ignore[list-item, attr-defined]
    return head.weight @ pooled + head.bias  # type: ignore[attr-defined, no-any-return]


def test_a_damaged_head_is_refused(recogniser: Path, tmp_path: Path) -> None:
    folder = tmp_path / "damaged"
    shutil.copytree(recogniser, folder)
    path = folder / "heads.safetensors"
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(WeightsError, match=r"heads.safetensors cannot be read"):
        SketchFusion.from_pretrained(folder)


def test_a_task_resumes_bit_for_bit(
    data: list[Dataset], model_folder: Path, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(out: str, resume: bool = False) -> str:
        settings = FEW["correspondence"]
        return train_task(
            "correspondence", data, tmp_path / out, str(model_folder), resume, settings, cache=cache
        ).fingerprint

    schedule = replace(CorrespondenceRecipe(), steps=4, warmup=1, validate_every=2).schedule
    monkeypatch.setattr(CorrespondenceRecipe, "schedule", replace(schedule, checkpoint_seconds=0.0))
    whole = run("whole")
    original = CorrespondenceObjective.losses
    calls = 0

    def dies(*arguments: object) -> Losses:
        nonlocal calls
        calls += 1
        if calls == 5:  # two steps, a validation, a third step, and then the fourth
            raise RuntimeError("dies")
        return original(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(CorrespondenceObjective, "losses", dies)
    with pytest.raises(RuntimeError, match="dies"):
        run("broken")
    assert Checkpoint.read(tmp_path / "broken" / "training" / "correspondence" / CHECKPOINT).step == 3
    monkeypatch.setattr(CorrespondenceObjective, "losses", original)
    assert run("broken", resume=True) == whole
    for name in ("log", "validation"):
        one, other = (log(tmp_path / run, "correspondence", name) for run in ("whole", "broken"))
        assert [row["loss"] for row in one] == [row["loss"] for row in other]


def test_training_can_start_from_light_weights(
    data: list[Dataset], model_folder: Path, recogniser: Path, cache: Path, tmp_path: Path
) -> None:
    first, still = SketchFusion.from_pretrained(recogniser), FEW["correspondence"] | {"steps": "1", "lr": "0"}
    second = train_task(
        "correspondence", data, tmp_path, str(model_folder), settings=still, start=recogniser, cache=cache
    )
    for name, weight in first.model.light.state_dict().items():
        same = torch.equal(weight, second.model.light.state_dict()[name])
        assert same != name.startswith("centring")  # which every task finds anew


def test_other_weights_are_refused(
    data: list[Dataset], model_folder: Path, recogniser: Path, cache: Path, tmp_path: Path
) -> None:
    config, _ = read_light_weights(model_folder)
    clip = tmp_path / "clip"
    shutil.copytree(config.clip, clip)
    weights = load_file(clip / "model.safetensors")
    save_file({name: weight * 1.01 for name, weight in weights.items()}, clip / "model.safetensors", {"format": "pt"})
    other = SketchFusion.untrained(config=replace(config, clip=str(clip), clip_hash=""))
    other.save_pretrained(tmp_path / "other")
    shutil.copytree(recogniser, tmp_path / "out")
    given = {"settings": FEW["recognition"], "cache": cache}
    with pytest.raises(ValueError, match=r"was made for the frozen weights .* start anew without --resume"):
        train_task("recognition", data, tmp_path / "out", str(tmp_path / "other"), True, **given)
    with pytest.raises(ValueError, match="was trained on other frozen weights"):
        train_task("recognition", data, tmp_path / "new", str(model_folder), start=tmp_path / "other", **given)
    trainings = tmp_path / "out" / "training"
    shutil.copytree(trainings / "recognition", trainings / "correspondence")
    saved = Checkpoint.read(trainings / "correspondence" / CHECKPOINT)
    Checkpoint(saved.step, saved.tensors).write(trainings / "correspondence" / CHECKPOINT)  # as older versions left it
    with pytest.raises(ValueError, match="is of another training; start anew without --resume"):
        train_task(
            "correspondence", data, tmp_path / "out", str(model_folder), True, FEW["correspondence"], cache=cache
        )


def test_resuming_with_other_settings_or_classes_is_refused(
    data: list[Dataset], model_folder: Path, cache: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def resumed(*others: Dataset, **settings: str) -> None:
        asked = FEW["recognition"] | settings
        train_task("recognition", others or data[:1], tmp_path, str(model_folder), True, asked, cache=cache)

    resumed()
    assert caplog.messages == [
        f"{tmp_path / 'training' / 'recognition'} holds no checkpoint to go on from; training begins anew"
    ]
    kept = (tmp_path / "training" / "recognition" / CHECKPOINT).read_bytes()
    for line, settings in {
        r"lr=0\.002, not 0\.003": {"lr": "0.003"},
        "seed=0, not 1": {"seed": "1"},
        "fusion.timestep=195, not 273": {"fusion.timestep": "273"},
    }.items():
        with pytest.raises(ValueError, match=f"was trained with {line}; leave --resume out or ask for the same"):
            resumed(**settings)
    export(tmp_path / "others", 0, ["apple", "car", "chair"], "seen", 6, 64)
    with pytest.raises(ValueError, match="was trained with recognition class 0=car, not apple"):
        resumed(datasets.open(tmp_path / "others"))
    assert (tmp_path / "training" / "recognition" / CHECKPOINT).read_bytes() == kept
    resumed(steps="5", patience="9", validate_every="5", validation_batches="2")
    assert len(log(tmp_path, "recognition")) == 5 and len(caplog.messages) == 1


@pytest.mark.parametrize(
    ("task", "setting"), [("retrieval", "classes"), ("recognition", "batch"), ("segmentation", "batch")]
)
def test_training_with_a_batch_of_one_gives_finite_weights(
    task: str, setting: str, data: list[Dataset], model_folder: Path, cache: Path, tmp_path: Path
) -> None:
    model = train_task(task, data, tmp_path, str(model_folder), settings=FEW[task] | ONCE | {setting: "1"}, cache=cache)
    assert all(bool(tensor.isfinite().all()) for tensor in model.model.light.state_dict().values())
    photo = next(data[0].root.rglob("*.jpg"))
    assert bool(SketchFusion.from_pretrained(tmp_path).embed([photo]).isfinite().all())


def test_held_out_masks_of_a_category_that_is_not_trained_validate_nothing(
    data: list[Dataset], model_folder: Path, cache: Path, tmp_path: Path
) -> None:
    masked, rows = tmp_path / "masked", ["photo,category,mask"]
    masked.mkdir()
    for category, kept_out in (("cat", False), ("car", True)):
        for stem in [name for n in range(60) if held_out(name := f"{category}-{n}") == kept_out][:4]:
            for end in (".png", "-mask.png"):
                shutil.copy(data[1].root / f"{category}0{end}", masked / f"{stem}{end}")
            rows.append(f"{stem}.png,{category},{stem}-mask.png")
    (masked / "index.csv").write_text("\n".join(rows) + "\n")
    given = [data[0], datasets.open(masked)]
    train_task("segmentation", given, tmp_path / "out", str(model_folder), settings=FEW["segmentation"], cache=cache)
    assert len(log(tmp_path / "out", "segmentation")) == 4


def test_damaged_files_of_the_cache_are_made_anew(data: list[Dataset], model_folder: Path, tmp_path: Path) -> None:
    given = {"model": str(model_folder), "settings": FEW["recognition"] | ONCE, "cache": tmp_path / "c"}
    first = train_task("recognition", data, tmp_path / "a", **given)
    kept = {path: path.read_bytes() for path in (tmp_path / "c").rglob("*.*")}
    assert {path.suffix for path in kept} == {".npy"}
    for (path, content), keep in zip(kept.items(), cycle((0, 20, -40)), strict=False):
        path.write_bytes(content[:keep])
    second = train_task("recognition", data, tmp_path / "b", **given)
    assert {path: path.read_bytes() for path in (tmp_path / "c").rglob("*.*")} == kept
    assert second.fingerprint == first.fingerprint


def test_frozen_models_compute_in_the_type_asked_for_and_their_features_stay_apart(
    data: list[Dataset],
    model_folder: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    roots = [argument for of in data for argument in ("--data", str(of.root))]
    small = [argument for key, value in FEW["retrieval"].items() for argument in ("--set", f"{key}={value}")]

    def run(*more: str) -> int:
        chosen = ["--model", str(model_folder), "--cache", str(tmp_path / "cache"), "--out", str(tmp_path / "out")]
        return terminal.run(app, ["train", "retrieval", *roots, *chosen, *small, *more])

    def kept() -> set[Path]:
        return {path for path in (tmp_path / "cache").rglob("*.npy") if path.parent.name.startswith("latents-")}

    losses, folders = [], []
    for dtype in ("float32", "bfloat16"):
        assert run("--dtype", dtype, "--device", "cpu") == 0
        losses.append([row["loss"] for row in log(tmp_path / "out", "retrieval")])
        folders.append(len({path.parent for path in kept()}))
    assert losses[0] != losses[1] and folders == [2, 4]  # for half and full size
    light = Checkpoint.read(tmp_path / "out" / "training" / "retrieval" / CHECKPOINT).tensors
    assert {of.dtype for of in light.values() if of.is_floating_point()} == {torch.float32}
    assert run("--dtype", "float32", "--resume") == 0
    assert "goes on with dtype=torch.float32 in place of torch.bfloat16" in caplog.text
    assert run("--dtype", "float16") == 2
    assert "'float16' is not one of 'bfloat16', 'float32'" in capsys.readouterr().err
    assert run("--device", "cuda:99") == 2
    assert "device 'cuda:99' cannot be used here" in capsys.readouterr().err
    monkeypatch.setattr("sketchfusion.lab.training.train.processes", lambda: SimpleNamespace(count=2, first=True))
    assert run("--device", "cpu") == 2
    assert "every process of torchrun has a GPU of its own: leave --device out" in capsys.readouterr().err


def test_data_that_lack_what_a_task_needs_are_refused(
    model_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = Fused.create(str(model_folder), "retrieval", {}, None).model
    monkeypatch.setattr(SketchFusion, "untrained", lambda *_, **__: model)  # loaded once for all
    photos, drawings = tmp_path / "photos", tmp_path / "drawings"
    (photos / "cat").mkdir(parents=True)
    Image.new("RGB", (64, 64), "red").save(photos / "cat" / "1.png")
    drawings.mkdir()
    (drawings / "cat.ndjson").write_text('{"word": "cat", "recognized": true, "drawing": [[[0, 255], [0, 255]]]}\n')
    for task, root, line in (
        ("retrieval", photos, "fewer than two classes have both photos and sketches"),
        ("instance-retrieval", photos, "no class has two photos with sketches of their own"),
        ("recognition", photos, "fewer than two classes have sketches"),
        ("correspondence", drawings, "no photos of seen classes"),
        ("segmentation", photos, "no sketches of what the masks show"),
    ):
        with pytest.raises(ValueError, match=f"{root.name}: {line}"):
            train_task(task, [datasets.open(root)], tmp_path / "out", str(model_folder))
    world = [datasets.open("world")]
    with pytest.raises(ValueError, match=r"'retrieval' is not a setting; choose from .*retrieval\.\*"):
        train_task("universal", world, tmp_path / "out", str(model_folder), settings={"retrieval": "1"})
