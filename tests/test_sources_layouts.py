"""Training pictures of every layout: sketches as sketches, photos as photos, and what is held out as it is measured."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from fixtures.photos import blank
from sketchfusion.lab import datasets
from sketchfusion.lab.datasets.base import DatasetError, is_unseen, not_trained_on
from sketchfusion.lab.datasets.quickdraw import QuickDraw, QuickDrawExtended
from sketchfusion.lab.datasets.tuberlin import TUBerlin
from sketchfusion.lab.evaluation.retrieval import instance_data, retrieval_data
from sketchfusion.lab.training.sources import Sources, collect, instances

CLASSES = ("airplane", "cat", "door")  # the last is unseen
EACH = 20


def picture(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(blank(path.suffix))


def sketchy_at(root: Path, inner: str = "256x256", ready: str = "") -> Path:
    for place, category in enumerate(CLASSES):
        for number in range(EACH):
            for kind, name in (("photo", f"n0{place}_{number}.jpg"), ("sketch", f"n0{place}_{number}-1.png")):
                picture(root / inner / kind / f"tx_000000000000{ready}" / category / name)
    return root


def extended_at(root: Path) -> Path:
    sketchy_at(root)
    for place, category in enumerate(CLASSES):
        for number in range(EACH):
            picture(root / "EXTEND_image_sketchy" / category / f"n0{place}_{number}.jpg")
            picture(root / "EXTEND_image_sketchy" / category / f"ext_{number}.jpg")
    return root


def tuberlin_at(root: Path, photos: bool = True) -> Path:
    for place, category in enumerate(CLASSES):
        for number in range(EACH):
            picture(root / "png" / category / f"{80 * place + number + 1}.png")
            if photos:
                picture(root / "ImageResized" / category / f"n0{place}_{number}.jpg")
    return root


def quickdraw_ext_at(root: Path) -> Path:
    for category in CLASSES:
        for number in range(EACH):
            picture(root / "QuickDraw_sketches_final" / category / f"{5_000_000_000_000_000 + number}.png")
            picture(root / "QuickDraw_images_final" / category / f"image_{number:05}.jpg")
    return root


def quickdraw_at(root: Path, name: str = "full_simplified_{}.ndjson") -> Path:
    root.mkdir()
    for category in CLASSES:
        rows = [{"word": category, "recognized": n % 5 != 0, "drawing": [[[0, 255], [0, n]]]} for n in range(EACH)]
        (root / name.format(category)).write_text("\n".join(map(json.dumps, rows)) + "\n")
    return root


LAYOUTS: dict[str, Callable[[Path], Path]] = {
    "Sketchy": sketchy_at,
    "Sketchy, bare": lambda root: sketchy_at(root, ""),
    "Sketchy, rendered": lambda root: sketchy_at(root, "rendered_256x256/256x256"),
    "Sketchy, ready": lambda root: sketchy_at(root, ready="_ready"),
    "Sketchy-extended": extended_at,
    "TU-Berlin-extended": tuberlin_at,
    "QuickDraw-extended": quickdraw_ext_at,
}


@pytest.mark.parametrize("name", LAYOUTS)
def test_sketches_are_sketches_photos_are_photos_and_neither_is_of_an_unseen_class(tmp_path: Path, name: str) -> None:
    root = LAYOUTS[name](tmp_path / "data")
    sources = Sources.of([datasets.open(root)], tmp_path / "cache")
    photos, sketches = collect(sources.photo_sets, "photo"), collect(sources.sketch_sets, "sketch")
    assert {p.names for p in photos} == {p.names for p in sketches} == {("airplane",), ("cat",)}
    assert all(p.path.endswith(".jpg") for p in photos) and all(p.path.endswith(".png") for p in sketches)
    assert [dataset.root for dataset in sources.with_instances] == ([root] if name.startswith("Sketchy") else [])
    for kind, trained in (("photo", photos), ("sketch", sketches)):
        kept = collect([datasets.open(root)], kind, kept_out=True)  # type: ignore[arg-type]
        assert kept and not set(kept) & set(trained)
        assert len(kept) + len(trained) == 2 * EACH * (2 if (name, kind) == ("Sketchy-extended", "photo") else 1)


def test_photos_of_the_extension_that_nobody_sketched_are_no_instances(tmp_path: Path) -> None:
    root = extended_at(tmp_path / "data")
    assert all(
        Path(p.path).name.startswith("ext_") for p in collect([datasets.open(root)], "photo") if "EXTEND" in p.path
    )
    [photos] = instances(Sources.of([datasets.open(root)], tmp_path / "cache"), 0)[0]
    assert len(photos) and not any("ext_" in thing for _, thing in photos.names)


def test_photos_named_like_sketches_are_told_apart(tmp_path: Path) -> None:
    for number in range(20):
        for photo in (f"IMG-{number}", f"IMG-{number}-1"):
            picture(tmp_path / "256x256/photo/tx_000000000000/cat" / f"{photo}.png")
            picture(tmp_path / "256x256/sketch/tx_000000000000/cat" / f"{photo}-1.png")
    data = instances(Sources.of([datasets.open(tmp_path)], tmp_path / "cache"), 0)
    [photos], [sketches] = data
    shown, drawn = ({thing for _, thing in bank.names} for bank in (photos, sketches))
    assert len(shown) == len(photos) and shown == drawn


def test_tu_berlin_without_its_extension_has_sketches_alone(tmp_path: Path) -> None:
    root = tuberlin_at(tmp_path / "data", photos=False)
    assert (
        collect([datasets.open(root)], "photo") == []
        and len({p.names for p in collect([datasets.open(root)], "sketch")}) == 2
    )


def test_tu_berlin_extended_alone_has_what_retrieval_is_trained_on(tmp_path: Path) -> None:
    sources = Sources.of([datasets.open(tuberlin_at(tmp_path / "data"))], tmp_path / "cache")
    sides = (sources.sharp_photos(), sources.sketches(), sources.sharp_photos(True), sources.sketches(True))
    assert [set(bank.by_name) for bank in sides] == [{"airplane", "cat"}] * 4


@pytest.mark.parametrize("name", ["{}.ndjson", "full_simplified_{}.ndjson", "full_raw_{}.ndjson"])
def test_drawings_that_are_measured_are_not_trained_on(tmp_path: Path, name: str) -> None:
    root = quickdraw_at(tmp_path / "data", name)
    trained = collect([datasets.open(root)], "sketch")
    assert {p.names for p in trained} == {("airplane",), ("cat",)}
    samples = QuickDraw(root).sketches()  # those that the game recognised
    assert {p.path for p in trained} == {s.source for s in samples if not not_trained_on(s)}
    assert len(samples) == 3 * EACH * 4 / 5 and collect([datasets.open(root)], "photo") == []


@pytest.mark.parametrize(("at", "opened"), [(tuberlin_at, TUBerlin), (quickdraw_ext_at, QuickDrawExtended)])
def test_training_and_measuring_share_no_picture(tmp_path: Path, at, opened) -> None:  # type: ignore[no-untyped-def]
    root = at(tmp_path / "data")
    for collected, samples in (
        (collect([datasets.open(root)], "photo"), opened(root).photos()),
        (collect([datasets.open(root)], "sketch"), opened(root).sketches()),
    ):
        assert {p.path for p in collected} == {s.source for s in samples if not not_trained_on(s)}
    held = {p.path for p in collect([datasets.open(root)], "sketch", kept_out=True)}
    assert held == {s.source for s in opened(root).sketches() if not_trained_on(s) and not is_unseen(s.label)}


@pytest.mark.parametrize(("at", "tested"), [(tuberlin_at, "banana"), (quickdraw_ext_at, "bat")])
def test_what_the_usual_split_of_a_data_set_keeps_for_testing_is_not_trained_on(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    at,  # type: ignore[no-untyped-def]
    tested: str,
) -> None:
    monkeypatch.setattr("test_sources_layouts.CLASSES", ("airplane", "cat", tested))
    root = at(tmp_path / "data")
    collected = [
        *collect([datasets.open(root)], "photo"),
        *collect([datasets.open(root)], "sketch"),
        *collect([datasets.open(root)], "sketch", kept_out=True),
    ]
    assert {p.names for p in collected} == {("airplane",), ("cat",)}
    measured = retrieval_data(datasets.open(root), untrained=True)
    assert [label for _, label in measured.sketches()] == [tested] * EACH
    assert [label for _, label in measured.photos()] == [tested] * EACH


def test_a_table_of_a_root_without_unseen_classes_measures_what_training_on_it_leaves_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("test_sources_layouts.CLASSES", ("airplane", "cat"))
    root = sketchy_at(tmp_path / "data")
    sides = (collect([datasets.open(root)], "photo"), collect([datasets.open(root)], "sketch"))
    for data in (
        retrieval_data(datasets.open(root), untrained=True),
        instance_data(datasets.open(root), untrained=True),
    ):
        assert data.about == "all 2 classes, as none of sketchy-21 is there, of 2 of them what training leaves out"
        for measured, trained in zip((data.photos(), data.sketches()), sides, strict=True):
            shown = {str(source) for source, _ in measured}
            assert shown and not shown & {picture.path for picture in trained}
            assert len(shown) + len(trained) == 2 * EACH


def test_a_class_of_which_training_draws_all_photos_is_not_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("test_sources_layouts.CLASSES", ("airplane", "cat"))
    root = tuberlin_at(tmp_path / "data")
    trained = {picture.path for picture in collect([datasets.open(root)], "photo")}
    for photo in (root / "ImageResized" / "cat").iterdir():
        if str(photo) not in trained:
            photo.unlink()
    data = retrieval_data(datasets.open(root), untrained=True)
    assert {label for _, label in data.sketches()} == {label for _, label in data.photos()} == {"airplane"}
    for photo in (root / "ImageResized" / "airplane").iterdir():
        if str(photo) not in trained:
            photo.unlink()
    with pytest.raises(DatasetError, match="training leaves sketches and photos out of no class"):
        retrieval_data(datasets.open(root), untrained=True)


@pytest.mark.parametrize(
    ("made", "inner", "part"),
    [
        (sketchy_at, "256x256/sketch", "sketch"),
        (sketchy_at, "256x256/sketch/tx_000000000000", "tx_000000000000"),
        (lambda root: sketchy_at(root, ready="_other"), "", "sketch|tx_000000000000_other"),
        (tuberlin_at, "png", "png"),
        (quickdraw_ext_at, "QuickDraw_sketches_final", "QuickDraw_sketches_final"),
    ],
)
def test_a_part_of_a_data_set_is_no_folder_of_photos(
    tmp_path: Path, made: Callable[[Path], Path], inner: str, part: str
) -> None:
    root = made(tmp_path / "data") / inner
    with pytest.raises(DatasetError, match=f"({part}) is a part of a data set and may hold sketches"):
        collect([datasets.open(root)], "photo")


def test_layouts_that_training_cannot_use_are_refused(tmp_path: Path) -> None:
    mixed = tuberlin_at(sketchy_at(tmp_path / "mixed"))
    with pytest.raises(DatasetError, match="Sketchy and TU-Berlin are mixed up"):
        datasets.open(mixed)
    (tmp_path / "masked").mkdir()
    (tmp_path / "masked" / "index.csv").write_text("photo,category,mask\n")
    (tmp_path / "points").mkdir()
    (tmp_path / "points" / "test_pairs_ps.csv").write_text("photo,sketch\n")
    for name, layout in (("masked", "segmentation folder"), ("points", "PSC6K")):
        with pytest.raises(DatasetError, match=f"{name}: a {layout} is no data set of named pictures"):
            collect([datasets.open(tmp_path / name)], "photo")
    (tmp_path / "bitmaps").mkdir()
    np.save(tmp_path / "bitmaps" / "cat.npy", np.zeros((2, 784), np.uint8))
    with pytest.raises(DatasetError, match=r"bitmaps: training takes Quick, Draw! as \.ndjson files"):
        collect([datasets.open(tmp_path / "bitmaps")], "sketch")


def test_unreadable_pictures_are_reported_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    root = tmp_path / "photos"
    for name in ("cat/1.jpg", "cat/2.jpg", "dog/1.jpg"):
        picture(root / name)
    (root / "dog" / "1.jpg").write_bytes(b"no picture")
    with caplog.at_level(logging.WARNING):
        for place in ("one", "another"):
            assert len(Sources([datasets.open(root)], [], tmp_path / place).sharp_photos()) == 2
    line = "1 of 3 pictures (photo) cannot be read and are left out; nothing is left of dog"
    assert caplog.messages == [line]
    for name in ("1", "2"):
        (root / "cat" / f"{name}.jpg").write_bytes(b"no picture either")
    with pytest.raises(ValueError, match=r"none of 3 pictures can be read, \S*1\.jpg the first; save them again"):
        Sources([datasets.open(root)], [], tmp_path / "third").sharp_photos()
