"""Drawn pictures are named by a judge that has learned from real photos."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from PIL import Image

from sketchfusion.datasets.tinyimagenet import TinyImageNet
from sketchfusion.evaluation import samples
from sketchfusion.evaluation.coarse import COARSE, coarse_of
from sketchfusion.evaluation.judge import Judge
from sketchfusion.evaluation.samples import benchmark_samples
from sketchfusion.models import load

HUES = {name: tuple((40 * (n + 1) * k) % 256 for k in (1, 3, 7)) for n, name in enumerate(COARSE)}


def plain(name: str) -> Image.Image:
    return Image.new("RGB", (64, 64), HUES[name])


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny-imagenet of one class for each coarse name, and one class that has none; every photo is one plain hue."""
    root = tmp_path_factory.mktemp("tiny-imagenet")
    classes = [(f"n{n}", names[0], coarse) for n, (coarse, names) in enumerate(COARSE.items())]
    (root / "wnids.txt").write_text("".join(f"{wnid}\n" for wnid, _, _ in classes) + "n99\n")
    (root / "words.txt").write_text("".join(f"{wnid}\t{name}, other\n" for wnid, name, _ in classes) + "n99\tabacus\n")
    (root / "val" / "images").mkdir(parents=True)
    rows = []
    for wnid, _, coarse in classes:
        (root / "train" / wnid / "images").mkdir(parents=True)
        plain(coarse).save(root / "train" / wnid / "images" / "a.png")
        plain(coarse).save(root / "val" / "images" / f"{wnid}.png")
        rows.append(f"{wnid}.png\t{wnid}\t0\t0\t9\t9\n")
    (root / "train" / "n99" / "images").mkdir(parents=True)
    (root / "val" / "val_annotations.txt").write_text("".join(rows))
    return root


def test_no_class_stands_under_two_coarse_names(tiny: Path) -> None:
    named = [name for names in COARSE.values() for name in names]
    assert len(COARSE) == 10 and len(set(named)) == len(named)
    assert coarse_of(TinyImageNet(tiny)) == {f"n{n}": name for n, name in enumerate(COARSE)}


def test_a_judge_learns_names_from_photos_the_same_for_a_seed(tiny: Path) -> None:
    photos = {name: [tiny / "train" / f"n{n}" / "images" / "a.png"] for n, name in enumerate(COARSE)}
    pictures = [plain(name) for name in COARSE]
    judge = Judge.trained(photos, steps=40)
    assert judge.name(pictures) == list(COARSE)
    assert Judge.trained(photos, steps=3).name(pictures) == Judge.trained(photos, steps=3).name(pictures)


def test_samples_are_asked_for_by_class_and_named_among_the_ten(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    parent = {name.lower(): coarse for coarse, names in COARSE.items() for name in names}

    def draw(
        sd: Path, prompts: Sequence[str], seed: int, progress: Callable[[int, int], None] | None
    ) -> list[Image.Image]:
        asked.extend(prompts)
        return [plain(parent[prompt.removeprefix("a photo of a ").replace("go kart", "go-kart")]) for prompt in prompts]

    monkeypatch.setattr(samples, "draw", draw)
    seen: list[tuple[int, int]] = []
    measured = benchmark_samples(load("mini-sd"), str(tiny), 3, lambda *done: seen.append(done), steps=40)
    assert len(set(asked)) == len(asked) == measured.counts["samples"] == 30
    assert measured.metrics["Acc@1 of samples"].mean == measured.metrics["Acc@1 of photos"].mean == 1
    assert measured.counts["photos"] == 10 and measured.trivial["guessing"]["Acc@1"] == 0.1
    assert seen[39] == (40, 70)


def test_what_cannot_draw_or_judge_is_refused(tiny: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="mini-clip has no diffusion model that could draw"):
        benchmark_samples(load("mini-clip"), str(tiny))
    (tmp_path / "wnids.txt").write_text("n0\n")
    (tmp_path / "words.txt").write_text("n0\tgoose\n")
    (tmp_path / "train" / "n0" / "images").mkdir(parents=True)
    with pytest.raises(ValueError, match="no photo of any bird"):
        benchmark_samples(load("mini-sd"), str(tmp_path))
