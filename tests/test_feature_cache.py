"""Frozen features kept on disk or computed for every batch: equal trainings, room, runs that are cut short, memory."""

from __future__ import annotations

import os
import signal
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import Generator, Tensor
from torch.nn.functional import interpolate

from fixtures.roots import training_data
from fixtures.writers import start
from sketchfusion.lab import datasets
from sketchfusion.lab.training.bank import PictureArray, Pictures
from sketchfusion.lab.training.feature_cache import GIB, FeatureCache, FrozenFeatures, FrozenInput, Keep, keep
from sketchfusion.lab.training.loop import CHECKPOINT, Checkpoint
from sketchfusion.lab.training.train import train_task


def pictures(*counts: int, side: int = 8, kind: str = "photo") -> Pictures:
    """Arrays of so many random pictures."""
    generator = np.random.default_rng(0)
    shape = (3 if kind == "photo" else 1, side, side)
    return Pictures(
        [
            PictureArray(kind, generator.integers(0, 256, (count, *shape), np.uint8), [("cat",)] * count)  # type: ignore[arg-type]
            for count in counts
        ]
    )


def counting(passes: list[int], fail_at: int = 0) -> Callable[[Tensor], Tensor]:
    """Make an encoder that notes how many pictures it sees, and stops when it is asked for the `fail_at`th time."""

    def encode(squares: Tensor) -> Tensor:
        passes.append(len(squares))
        if len(passes) == fail_at:
            raise KeyboardInterrupt
        return squares * 2 - 1

    return encode


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> Iterator[None]:
    """Several threads round in another order."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def undisturbed(model_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[list[Path], Path]:
    """The roots of some data, and what a training leaves that keeps all features of them."""
    folder = tmp_path_factory.mktemp("undisturbed")
    roots = [dataset.root for dataset in training_data(folder)]
    trained(roots, folder / "out", model_folder, "all")
    return roots, folder / "out"


def trained(roots: list[Path], out: Path, model: Path, choice: Keep, resume: bool = False) -> None:
    settings = {
        "steps": "3",
        "warmup": "1",
        "classes": "3",
        "views": "2",
        "validate_every": "3",
        "validation_batches": "1",
    }
    train_task("retrieval", [*map(datasets.open, roots)], out, str(model), resume, settings, keep=choice)


def state(out: Path) -> tuple[dict[str, str], dict[str, bytes]]:
    """Notes, such as the best loss, and weights and moments at the end of a training."""
    saved = Checkpoint.read(out / "training" / "retrieval" / CHECKPOINT)
    return saved.notes, {name: tensor.numpy().tobytes() for name, tensor in saved.tensors.items()}


@pytest.mark.parametrize("choice", ["latents", "nothing"])
def test_what_is_kept_changes_no_weight(
    choice: Keep, undisturbed: tuple[list[Path], Path], model_folder: Path, tmp_path: Path
) -> None:
    roots, kept_all = undisturbed
    trained(roots, tmp_path, model_folder, choice)
    for out, kept in ((kept_all, {"latents", "tokens"}), (tmp_path, {choice} - {"nothing"})):
        assert {of.name.partition("-")[0] for of in (out / "training" / "cache").iterdir() if of.is_dir()} == kept
    assert state(tmp_path) == state(kept_all)


def killed_within_the_fourth_file(roots: list[Path], out: Path, model: Path) -> None:
    written, save = list[Path](), np.save

    def dying(path: Path, features: np.ndarray) -> None:
        save(path, features)
        written.append(path)
        if len(written) == 4:
            os.truncate(path, path.stat().st_size // 2)
            os.kill(os.getpid(), signal.SIGKILL)

    torch.set_num_threads(1)
    pytest.MonkeyPatch().setattr(np, "save", dying)
    trained(roots, out, model, "all")


def test_a_run_that_is_killed_within_a_file_goes_on_with_those_that_are_there(
    undisturbed: tuple[list[Path], Path], model_folder: Path, tmp_path: Path
) -> None:
    roots, kept_all = undisturbed
    process = start(killed_within_the_fourth_file, roots, tmp_path, model_folder)
    process.join()
    assert process.exitcode == -signal.SIGKILL
    files = [*(tmp_path / "training" / "cache").glob("*-*/*.npy")]
    (draft,) = (path for path in files if path.name.startswith("."))
    kept = {path: path.stat().st_mtime_ns for path in files if path != draft}
    os.utime(draft, (0, 0))
    trained(roots, tmp_path, model_folder, "all", resume=True)
    assert len(kept) == 3 and {path: path.stat().st_mtime_ns for path in kept} == kept and not draft.exists()
    assert state(tmp_path) == state(kept_all)


@pytest.mark.parametrize("kind", ["photo", "sketch"])
def test_a_view_does_not_depend_on_what_else_is_in_the_batch(kind: str) -> None:
    seen = FrozenFeatures(
        FrozenInput("plain", lambda squares: squares), pictures(40, 0, 3, side=32, kind=kind), 16, views=3
    )
    index, views = [2, 41, 7, 2, 42], [1, 2, 0, 2, 1]
    together = seen(index, views)
    alone = torch.cat([seen([place], [view]) for place, view in zip(index, views, strict=True)])
    assert torch.allclose(together, alone, atol=1e-3)
    assert not torch.allclose(together[0], together[3], atol=0.1)  # another view of the same picture


def test_what_is_kept_is_not_computed_again_after_a_run_was_cut_short(tmp_path: Path) -> None:
    passes: list[int] = []

    def encoded(fail_at: int = 0) -> FrozenFeatures:
        return FrozenFeatures(FrozenInput("pixels", counting(passes, fail_at)), pictures(130, 20), 8, views=2)

    with pytest.raises(KeyboardInterrupt):
        encoded(fail_at=17).keep(tmp_path)  # 16 passes of 8 make the first file
    (first,) = tmp_path.rglob("*.npy")
    first.with_name(".half.draft.npy").write_bytes(first.read_bytes()[:100])  # as kill -9 leaves it
    passes.clear()
    kept = encoded()
    kept.keep(tmp_path)
    assert len(passes) == 2 * (16 + 1 + 3) - 16
    index, views = [0, 129, 131, 149], [0, 1, 0, 1]
    assert torch.equal(kept(index, views), encoded()(index, views))
    passes.clear()
    again = encoded()
    again.keep(tmp_path)
    assert (
        passes == []
        and all(path.is_file() for path in again.sizes(tmp_path))
        and torch.equal(again(index, views), kept(index, views))
    )


@pytest.mark.parametrize(
    ("free", "kept"), [(50 * GIB, {"latents", "tokens"}), (10 * GIB, {"latents"}), (0, set[str]())]
)
def test_by_default_as_much_is_kept_as_fits_well(
    free: int, kept: set[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda path: SimpleNamespace(free=free))
    monkeypatch.setattr(
        FrozenFeatures,
        "sizes",
        lambda of, folder: dict.fromkeys(of.files(folder).values(), (9 - 6 * of.input.small) * GIB),
    )
    inputs = [FrozenInput("latents", counting([]), small=True), FrozenInput("tokens", counting([]))]
    choice = keep([FrozenFeatures(of, pictures(3), 8) for of in inputs], tmp_path)
    assert choice == {2: "all", 1: "latents", 0: "nothing"}[len(kept)]
    assert {path.name.partition("-")[0] for path in tmp_path.iterdir()} == kept
    said = {2: "the frozen models' features take 12.0 GiB", 1: "latents take 3.0 GiB", 0: ""}
    assert [line[: len(said[len(kept)])] for line in caplog.messages] == [said[len(kept)]] * bool(kept)


def test_what_an_earlier_run_kept_counts_so_that_a_later_one_decides_alike(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda path: SimpleNamespace(free=100 * GIB))
    monkeypatch.setattr(
        "sketchfusion.lab.training.feature_cache.FITS", 12_000
    )  # bytes: latents of 9,216 fit, tokens of as many beside them not
    inputs = [FrozenInput("latents", counting([]), small=True), FrozenInput("tokens", counting([]))]
    chosen = [keep([FrozenFeatures(of, pictures(24), 8) for of in inputs], tmp_path) for _ in range(2)]
    assert chosen == ["latents", "latents"]


def test_features_that_are_not_finite_are_neither_kept_nor_used(tmp_path: Path) -> None:
    damaged = FrozenInput("latents of weights", lambda squares: squares * torch.nan)
    encoded = FrozenFeatures(damaged, pictures(3), 8)
    for use in (lambda: encoded.keep(tmp_path), lambda: encoded([0], [0])):
        with pytest.raises(ValueError, match="the latents of a picture are not"):
            use()
    assert list(tmp_path.iterdir()) == []


def test_without_room_nothing_is_computed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda path: SimpleNamespace(free=50_000))
    passes: list[int] = []
    encoded = [FrozenFeatures(FrozenInput("pixels", counting(passes)), pictures(200), 8, views=2)]
    folder = tmp_path / "not there yet"
    with pytest.raises(ValueError, match=r"--keep all takes 0\.0 GiB in .*not there yet, where 0\.0 are free: take"):
        keep(encoded, folder, "all")
    assert passes == [1] and not folder.exists()  # one blank page tells the size
    keep(encoded, folder, "latents")
    assert passes == [1] and not folder.exists()


def test_a_disk_that_fills_up_is_named_and_what_is_kept_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    passes, saved = list[int](), np.save

    def full(path: Path, array: np.ndarray) -> None:
        if list(tmp_path.rglob("*-1.npy")):
            raise OSError(28, "No space left on device")
        saved(path, array)

    encoded = FrozenFeatures(FrozenInput("pixels", counting(passes)), pictures(130), 8, views=2)
    monkeypatch.setattr(np, "save", full)
    with pytest.raises(OSError, match=r"-0\.npy cannot be written: No space left on device$"):
        encoded.keep(tmp_path)
    assert len(list(tmp_path.rglob("*.npy"))) == 2
    monkeypatch.undo()
    passes.clear()
    encoded.keep(tmp_path)
    assert len(passes) == 2


@pytest.mark.parametrize("choice", ["all", "nothing"])
def test_memory_holds_a_batch_and_not_all_features(choice: Keep, tmp_path: Path) -> None:
    def encode(squares: Tensor) -> Tensor:
        return interpolate(squares, (64, 64)).repeat(1, 4, 1, 1)

    several, path = pictures(150, 150, side=64), tmp_path / "pixels.npy"
    np.save(path, several.banks[0].pixels)
    mapped = PictureArray("photo", np.load(path, mmap_mode="r"), [("cat",)] * 150)
    few = mapped.named({"cat"}, 140)
    tracemalloc.start()
    encoded = FrozenFeatures(FrozenInput("tokens", encode), Pictures([few, mapped]), 64)
    keep([encoded], tmp_path, choice)
    cache = FeatureCache([encoded.read], few.names + mapped.names)
    for _ in range(3):
        assert cache.draw_named(["cat"] * 8, Generator().manual_seed(0)).features
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    every = 2 * 290 * 12 * 64 * 64
    assert peak < every / 5 and (sum(path.stat().st_size for path in tmp_path.rglob("*-0.npy")) > every / 2) == (
        choice == "all"
    )
