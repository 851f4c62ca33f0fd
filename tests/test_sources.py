"""Training pictures: found in the layouts people have, and never a sketch of an unseen class."""

from __future__ import annotations

import json
import shutil
import weakref
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from sketchfusion.io.files import find_images
from sketchfusion.io.images import quantise
from sketchfusion.lab import datasets
from sketchfusion.lab.datasets import base
from sketchfusion.lab.datasets.base import held_out, readable_name
from sketchfusion.lab.datasets.folders import PhotoFolder
from sketchfusion.lab.training.bank import Picture, decode
from sketchfusion.lab.training.sources import Sources, collect, listed_samples


@pytest.fixture
def sketchy_root(tmp_path: Path) -> Path:
    """Two seen classes and an unseen one, twenty photos each with one sketch, in the true layout."""
    root = tmp_path / "sketchy"
    for category in ("airplane", "hot-air_balloon", "cow"):
        for kind, name in (("photo", "n0{}_{}.jpg"), ("sketch", "n0{}_{}-1.png")):
            folder = root / "256x256" / kind / "tx_000000000000" / category
            folder.mkdir(parents=True)
            for number in range(20):
                picture = Image.new("RGB", (32, 32), (number * 10, 90, 200) if kind == "photo" else "white")
                picture.save(folder / name.format(len(category), number))
    return root


def test_class_names_are_written_as_people_write_them() -> None:
    assert readable_name("hot-air_balloon") == "hot air balloon"
    assert readable_name("car_(sedan)") == "car sedan"
    assert readable_name("e\u0301le\u0301phant") == readable_name("\u00c9l\u00e9phant") == "\u00e9l\u00e9phant"
    assert readable_name("\u0939\u093e\u0925\u0940") == "\u0939\u093e\u0925\u0940", "vowel signs are part of a word"


def test_a_sketchy_root_gives_the_training_side_of_seen_classes_only(sketchy_root: Path) -> None:
    for pictures in (collect([datasets.open(sketchy_root)], "photo"), collect([datasets.open(sketchy_root)], "sketch")):
        assert {picture.names for picture in pictures} == {("airplane",), ("hot air balloon",)}
        assert not any(held_out(Path(picture.path).stem.rsplit("-", 1)[0]) for picture in pictures)
        assert 20 < len(pictures) < 40


def test_the_files_of_a_training_are_listed_once(sketchy_root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each task and each side of it asks for them, which for Sketchy-extended takes seconds each time."""
    listed, dataset = [], datasets.open(sketchy_root)
    monkeypatch.setattr(base, "find_images", lambda folder: listed.append(folder) or find_images(folder))
    found = {kept_out: collect([dataset], "sketch", kept_out) for kept_out in (False, True, False)}
    assert len(listed) == len(set(listed)) == 3 and found[False] and found[True]
    listed_samples.cache_clear()
    next(Path(found[True][0].path).parent.glob("*")).unlink()
    assert sum(len(collect([dataset], "sketch", of)) for of in (False, True)) == sum(map(len, found.values())) - 1


def test_a_data_set_that_is_named_twice_counts_once(sketchy_root: Path, tmp_path: Path) -> None:
    twice = Sources.of([datasets.open(sketchy_root), datasets.open(sketchy_root / ".." / sketchy_root.name)], tmp_path)
    once = Sources.of([datasets.open(sketchy_root)], tmp_path)
    assert len(twice.sharp_photos()) == len(once.sharp_photos()) > 0


def test_what_is_held_out_is_the_rest_and_sketch_goes_with_photo(sketchy_root: Path) -> None:
    trained = {Path(p.path).stem for p in collect([datasets.open(sketchy_root)], "photo")}
    kept = {Path(p.path).stem for p in collect([datasets.open(sketchy_root)], "photo", kept_out=True)}
    assert kept and not trained & kept
    assert len(trained) + len(kept) == 40
    sketches = {
        Path(p.path).stem.rsplit("-", 1)[0] for p in collect([datasets.open(sketchy_root)], "sketch", kept_out=True)
    }
    assert sketches == kept


def test_unseen_drawings_are_left_out_of_quick_draw(tmp_path: Path) -> None:
    line = json.dumps({"word": "x", "drawing": [[[0, 255], [0, 255]]]})
    for name in ("cat", "scissors", "bird", "house plant"):
        (tmp_path / f"{name}.ndjson").write_text("\n".join([line] * 10) + "\n")
    assert {picture.names[0] for picture in collect([datasets.open(tmp_path)], "sketch")} == {"cat", "house plant"}


def test_tiny_imagenet_names_come_with_synonyms_and_kinds(tmp_path: Path) -> None:
    (tmp_path / "wnids.txt").write_text("n02123045\n")
    (tmp_path / "words.txt").write_text("n02123045\ttabby, tabby cat\nn1\tother\n")
    folder = tmp_path / "train" / "n02123045" / "images"
    folder.mkdir(parents=True)
    Image.new("RGB", (64, 64)).save(folder / "n02123045_0.JPEG")
    assert [p.names for p in collect([datasets.open(tmp_path)], "photo")] == [("tabby", "tabby cat", "cat")]


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="nowhere: no such folder"):
        collect([datasets.open(tmp_path / "nowhere")], "photo")


def test_decoded_pictures_are_cached_and_broken_files_left_out(sketchy_root: Path, tmp_path: Path) -> None:
    pictures = collect([datasets.open(sketchy_root)], "photo")
    Path(pictures[3].path).write_bytes(b"not a jpeg")
    bank = decode(pictures, "photo", 16, tmp_path / "cache")
    assert len(bank) == len(pictures) - 1
    assert bank.pixels.shape == (len(bank), 3, 16, 16)
    first = np.asarray(Image.open(pictures[0].path)).mean((0, 1)) / 255
    assert torch.allclose(bank.take([0])[0].mean((1, 2)), torch.tensor(first, dtype=torch.float32), atol=0.02)
    again = decode(pictures, "photo", 16, tmp_path / "cache")
    assert again.names == bank.names


def test_files_under_other_names_have_those(sketchy_root: Path, tmp_path: Path) -> None:
    folder = sketchy_root / "256x256/photo/tx_000000000000/airplane"
    for name in ("aeroplane", "jet"):
        (tmp_path / name).mkdir()
        (tmp_path / name / name).symlink_to(folder)
        bank = decode(collect([datasets.open(tmp_path / name)], "photo"), "photo", 16, tmp_path / "cache")
        assert set(bank.names) == {(name,)} and len(bank) == 20


def test_the_first_folder_is_the_class_as_where_it_is_measured(sketchy_root: Path, tmp_path: Path) -> None:
    root = tmp_path / "photos"
    shutil.copytree(sketchy_root / "256x256/photo/tx_000000000000/airplane", root / "jet" / "2021" / "june")
    shutil.copytree(sketchy_root / "256x256/photo/tx_000000000000/cow", root / "jet" / ".thumbnails")
    (root / "ox").symlink_to(sketchy_root / "256x256/photo/tx_000000000000/cow")
    named = {picture.path: picture.names[0] for picture in collect([datasets.open(root)], "photo")}
    assert sorted(named.values()) == ["jet"] * 20 + ["ox"] * 20
    assert named == {str(sample.path): sample.label for sample in PhotoFolder(root).photos()}
    assert {picture.names for picture in collect([datasets.open(root / "jet" / "2021" / "june")], "photo")} == {
        ("june",)
    }


def test_replaced_files_are_decoded_anew(sketchy_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def decoded(root: str) -> torch.Tensor:
        return decode(collect([datasets.open(Path(root))], "photo"), "photo", 16, tmp_path / "cache").take([0])[0]

    other = tmp_path / "elsewhere" / sketchy_root.name
    shutil.copytree(sketchy_root, other)
    first, *_ = collect([datasets.open(other)], "photo")
    Image.new("RGB", (32, 32), "red").save(first.path)
    red, blue = torch.tensor([1.0, 0, 0]), decoded(str(sketchy_root))
    for parent, picture in ((sketchy_root.parent, blue), (other.parent, red)):  # the same name in another folder
        monkeypatch.chdir(parent)
        found = decoded(sketchy_root.name)
        assert torch.allclose(found.mean((1, 2)), picture.mean((1, 2)) if picture.ndim > 1 else picture, atol=0.02)
    Image.new("RGB", (32, 32), (0, 255, 0)).save(first.path)
    assert torch.allclose(decoded(str(other)).mean((1, 2)), torch.tensor([0.0, 1, 0]), atol=0.02)
    (tmp_path / "linked").symlink_to(other)
    before = {*(tmp_path / "cache").iterdir()}
    decoded(str(tmp_path / "linked"))
    assert {*(tmp_path / "cache").iterdir()} == before  # what is reached by another way is the same


def test_a_replaced_file_of_drawings_is_decoded_anew(tmp_path: Path) -> None:
    path = tmp_path / "cat.ndjson"

    def decoded(ends: int) -> torch.Tensor:
        path.write_text(f'{{"word": "cat", "drawing": [[[0, {ends}], [0, 255]]]}}\n' * 20)
        return decode(collect([datasets.open(tmp_path)], "sketch"), "sketch", 16, tmp_path / "cache").take([0])

    assert not torch.equal(decoded(255), decoded(10))


def test_photos_of_unseen_classes_are_never_outlined(tmp_path: Path) -> None:
    for category in ("cellphone", "rhino", "wheelchair", "dolphin", "lamp"):
        (tmp_path / category).mkdir()
        Image.new("RGB", (20, 20)).save(tmp_path / category / "image_0001.jpg")
    bank = decode(collect([datasets.open(tmp_path)], "photo"), "photo", 16, tmp_path / "cache")
    assert len(bank) == 5  # photos of unseen classes may be seen
    assert {bank.names[n][0] for n in bank.seen} == {"cellphone", "lamp"}


def test_pictures_are_stored_as_they_are_decoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many there are, only those that are decoded ahead are in memory; broken ones among them are left out."""
    pictures, made, most = list[Picture](), list[weakref.ref[np.ndarray]](), 0
    for number in range(200):
        path = tmp_path / f"{number}.png"
        Image.new("RGB", (16, 16), (number, 0, 0)).save(path)
        if number % 50 == 7:
            path.write_bytes(b"broken")
        pictures.append(Picture(str(path), (f"cat {number}",)))

    def watched(square: torch.Tensor) -> np.ndarray:
        nonlocal most
        found = quantise(square)
        made.append(weakref.ref(found))
        most = max(most, sum(array() is not None for array in made))
        return found

    monkeypatch.setattr("sketchfusion.lab.training.bank.quantise", watched)
    bank = decode(pictures, "photo", 16, tmp_path / "cache")
    assert most <= 70
    right = [number for number in range(200) if number % 50 != 7]
    assert bank.pixels[:, 0, 8, 8].tolist() == right and bank.names == [(f"cat {number}",) for number in right]
