"""Steps that fit: gradient checkpointing, the largest batch tried first, and other batches when a training resumes."""

from __future__ import annotations

import csv
import weakref
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from fixtures.roots import SMALL, training_data
from sketchfusion.backbones.folders import load_diffusion
from sketchfusion.fusion import PHOTO, FusionConfig, FusionModel
from sketchfusion.lab.datasets import Dataset
from sketchfusion.lab.training import train as training
from sketchfusion.lab.training.loop import CHECKPOINT, Checkpoint
from sketchfusion.lab.training.methods import Fused, SdPl
from sketchfusion.lab.training.recipes import InstanceRetrievalRecipe, RetrievalRecipe, UniversalRecipe, halved
from sketchfusion.lab.training.train import train_task

SHORT = {"steps": "2", "warmup": "1", "validate_every": "2", "validation_batches": "1", "full_size_after": "0.5"}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> list[Dataset]:
    return training_data(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What is kept of the pictures, shared by all trainings here."""
    return tmp_path_factory.mktemp("cache")


class Kept:
    """A tensor that is kept for the way back."""

    def __init__(self, tensor: Tensor) -> None:
        self.tensor = tensor


def saved_bytes(forward: Callable[[], Tensor]) -> tuple[Tensor, int]:
    """The result, and the bytes of the tensors other than weights that are kept for its gradient."""
    kept: list[weakref.ref[Kept]] = []

    def keep(tensor: Tensor) -> Kept:
        found = Kept(tensor)
        kept.append(weakref.ref(found))
        return found

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda of: of.tensor):
        result = forward()
    tensors = [of.tensor for ref in kept if (of := ref()) and not isinstance(of.tensor, torch.nn.Parameter)]
    storages = [tensor.untyped_storage() for tensor in tensors]
    return result, sum({storage.data_ptr(): storage.nbytes() for storage in storages}.values())


@pytest.fixture
def model(sd_folder: Path) -> FusionModel:
    torch.manual_seed(0)
    model = FusionModel(load_diffusion(sd_folder), 32, FusionConfig(grid=16, width=64, dropout=0.3))
    for parameter in model.light.injection.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    return model.train()


def step(model: FusionModel) -> tuple[dict[str, Tensor], int]:
    generator = torch.Generator().manual_seed(1)
    latents, tokens = (torch.randn(2, *of, generator=generator) for of in ((4, 16, 16), (32, 4, 4)))
    model.zero_grad()
    torch.manual_seed(2)  # of the dropout
    maps, kept = saved_bytes(lambda: model(latents, tokens))
    maps.square().mean().backward()  # type: ignore[no-untyped-call]
    return {name: parameter.grad.clone() for name, parameter in model.light.named_parameters()}, kept  # type: ignore[union-attr]


def test_checkpointing_changes_memory_and_no_gradient(model: FusionModel) -> None:
    plain, all_kept = step(model)
    assert all(bool(gradient.any()) for gradient in plain.values())
    model.checkpoint()
    found, kept = step(model)
    assert all(torch.allclose(found[name], plain[name], rtol=1e-5, atol=1e-9) for name in plain)
    assert kept < 0.5 * all_kept
    torch.manual_seed(2)
    with torch.no_grad():
        assert bool(model(torch.randn(1, 4, 16, 16), torch.randn(1, 32, 4, 4)).isfinite().all())


@pytest.mark.parametrize("checkpointing", [False, True])
def test_nothing_is_kept_below_the_first_injection(model: FusionModel, checkpointing: bool) -> None:
    diffusion = model.diffusion
    if checkpointing:
        diffusion.checkpoint()
    seen: dict[str, bool] = {}

    def note(name: str, output: object) -> None:
        if isinstance(output, Tensor):
            seen[name] = output.requires_grad

    for name, block in diffusion.unet.named_modules():
        block.register_forward_hook(lambda module, inputs, output, name=name: note(name, output))
    noisy, add = torch.randn(1, 4, 16, 16), torch.randn(1, 64, 4, 4, requires_grad=True)

    def kept(wanted: str) -> int:
        return saved_bytes(lambda: diffusion(noisy, 195, [wanted], add={"up0": add})[wanted])[1]

    assert kept("mid") == 0 and kept("up0") == 0 < kept("up1")
    assert not any(grad for name, grad in seen.items() if name.startswith(("conv_in", "down_blocks", "mid_block")))
    assert any(grad for name, grad in seen.items() if name.startswith("up_blocks.1"))


def test_frozen_weights_in_bf16_compute_as_they_are_served(sd_folder: Path) -> None:
    diffusion = load_diffusion(sd_folder, torch.bfloat16)
    noisy = torch.randn(1, 4, 16, 16, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        served = diffusion(noisy, 195, ["up2"])["up2"]
        with torch.autocast("cpu", torch.bfloat16):
            trained = diffusion(noisy, 195, ["up2"])["up2"]
    assert torch.equal(served, trained)


def test_a_prompt_is_learned_through_a_checkpointed_vae(sd_folder: Path) -> None:
    method = SdPl.create("full", "retrieval", {"diffusion": str(sd_folder)}, None)
    squares = torch.rand(1, 3, method.model.side, method.model.side, generator=torch.Generator().manual_seed(0))
    found = []
    for _ in range(2):
        method.trained.zero_grad()
        torch.manual_seed(0)
        maps, kept = saved_bytes(lambda: method.maps((squares,), PHOTO))
        maps.square().mean().backward()  # type: ignore[no-untyped-call]
        found.append((method.trained.border.grad.clone(), kept))  # type: ignore[union-attr, operator]
        method.checkpoint()
    (plain, more), (again, less) = found
    assert torch.allclose(plain, again, rtol=1e-4, atol=1e-9) and bool(plain.any()) and less < 0.7 * more


def test_a_recipe_is_halved_while_a_batch_can_be_learned_from() -> None:
    assert halved(RetrievalRecipe(classes=5)) == RetrievalRecipe(classes=2, accumulate=2)
    assert halved(RetrievalRecipe(classes=2)) is None, "a single class has no wrong photo"
    assert halved(RetrievalRecipe(classes=1)) is None
    assert halved(InstanceRetrievalRecipe(classes=2)) == InstanceRetrievalRecipe(classes=1, accumulate=2)
    recipe = halved(UniversalRecipe())
    assert isinstance(recipe, UniversalRecipe)
    assert (recipe.retrieval.classes, recipe.correspondence.batch, recipe.accumulate) == (8, 4, 2)
    assert recipe.segmentation == replace(UniversalRecipe().segmentation, batch=4)


class Card:
    """Memory for a number of pictures of full size, four times as many with checkpointing."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, room: float) -> None:
        self.full: list[int] = []
        maps = Fused.maps

        def limited(method: Fused, inputs: tuple[Tensor, ...], kind: int) -> Tensor:
            stride = method.model.model.diffusion.latent_stride
            full = inputs[0].shape[-1] * stride == method.model.config.side
            if full and len(inputs[0]) > room * (4 if method.checkpointing else 1):
                raise torch.OutOfMemoryError("CUDA out of memory")
            self.full += [len(inputs[0])] if full else []
            return maps(method, inputs, kind)

        monkeypatch.setattr(Fused, "maps", limited)
        monkeypatch.setattr(training, "is_card", lambda device: True)


@pytest.mark.parametrize(
    ("room", "checkpointing", "line"),
    [
        (1, False, "--checkpointing would"),
        (1, True, None),
        (0.5, False, "--checkpointing --set accumulate=2 classes=2 would"),
        (0.5, True, "--set accumulate=2 classes=2 would"),
        (0, False, "not even the smallest with --checkpointing would: take a card with more"),
    ],
)
def test_a_card_that_is_too_small_fails_before_the_first_step_and_is_told_what_fits(
    room: float,
    checkpointing: bool,
    line: str | None,
    data: list[Dataset],
    model_folder: Path,
    cache: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    Card(monkeypatch, room)

    def run() -> None:
        train_task(
            "retrieval",
            data[:1],
            tmp_path / "out",
            str(model_folder),
            settings=SHORT | {"classes": "3", "views": "1"},
            cache=cache,
            checkpointing=checkpointing,
        )

    if line is None:
        run()
        return
    with pytest.raises(ValueError, match=f"a batch of full size does not fit into the memory of this cpu; {line}"):
        run()
    assert not (tmp_path / "out" / "training" / "retrieval" / "log.csv").exists()


def test_the_trial_of_the_largest_batch_changes_nothing(
    data: list[Dataset], model_folder: Path, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def log(out: str) -> list[dict[str, str]]:
        settings = SHORT | {"fusion.dropout": "0.2", "classes": "3", "views": "1"}
        train_task("retrieval", data[:1], tmp_path / out, str(model_folder), settings=settings, cache=cache)
        rows = csv.DictReader((tmp_path / out / "training" / "retrieval" / "log.csv").open())
        return [{name: value for name, value in row.items() if name != "seconds"} for row in rows]

    plain = log("plain")
    card = Card(monkeypatch, 64)
    assert log("tried") == plain and len(card.full) > 2


@pytest.mark.usefixtures("few_measured")
def test_a_training_resumes_with_another_batch_and_says_so(
    data: list[Dataset], model_folder: Path, cache: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def run(resume: bool, **settings: str) -> None:
        asked = {**SHORT, **SMALL["retrieval"], **settings}
        how = {"cache": cache, "checkpointing": resume}
        train_task("retrieval", data[:1], tmp_path / "out", str(model_folder), resume, asked, **how)

    run(False)
    run(True, steps="3", classes="4", accumulate="2")
    path = tmp_path / "out" / "training" / "retrieval" / CHECKPOINT
    assert Checkpoint.read(path).step == 3
    assert caplog.messages == [f"{path} goes on with accumulate=2 in place of 1, classes=4 in place of 6"]
    with pytest.raises(ValueError, match=r"margin=0\.3, not 0\.4"):
        run(True, steps="4", margin="0.4")
