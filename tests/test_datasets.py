"""Data sets in the layouts people have, published splits, and what is never trained on as a sketch."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import ExifTags, Image

from sketchfusion.io.images import read_image
from sketchfusion.lab.datasets import layouts
from sketchfusion.lab.datasets.base import DatasetError, comparable_name, data_lines, held_out, is_unseen
from sketchfusion.lab.datasets.folders import PhotoFolder
from sketchfusion.lab.datasets.quickdraw import QuickDraw
from sketchfusion.lab.datasets.segmentation import MaskedPhoto, MaskFolder
from sketchfusion.lab.datasets.sketchy import Sketchy, photo_id_of


def picture(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", (8, 8), 255).save(path)


@pytest.fixture
def sketchy(tmp_path: Path) -> Path:
    root = tmp_path / "sketchy" / "256x256"
    for category, stem in (("car_(sedan)", "n02958343_55"), ("hot-air_balloon", "n02782093_7")):
        picture(root / "photo" / "tx_000000000000" / category / f"{stem}.jpg")
        for number in (1, 2):
            picture(root / "sketch" / "tx_000000000000" / category / f"{stem}-{number}.png")
    return root.parent


def test_sketchy_is_read_from_either_root_and_pairs_by_name(sketchy: Path) -> None:
    data = Sketchy(sketchy)
    assert data.categories == ("car_(sedan)", "hot-air_balloon")
    assert Sketchy(sketchy / "256x256").photos() == data.photos()
    assert [s.id for s in data.sketches(["car_(sedan)"])] == [
        "car_(sedan)/n02958343_55-1",
        "car_(sedan)/n02958343_55-2",
    ]
    assert {s.photo_id for s in data.sketches()} == {p.photo_id for p in data.photos()}
    assert data.sketches()[0].kind == "sketch" and data.photos()[0].kind == "photo"


def test_sketchy_says_what_is_wrong(sketchy: Path, tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="no such folder"):
        Sketchy(tmp_path / "nowhere")
    with pytest.raises(DatasetError, match="256x256/photo"):
        Sketchy(tmp_path)
    with pytest.raises(DatasetError, match="no category 'unicorn'"):
        Sketchy(sketchy).photos(["unicorn"])


def test_a_photos_id_is_a_sketchs_without_its_number() -> None:
    assert photo_id_of("n02139199_11487-4") == "n02139199_11487"
    assert photo_id_of("jack-o-lantern") == "jack-o-lantern"
    assert photo_id_of("0007-12") == "0007"


@pytest.fixture
def quickdraw(tmp_path: Path) -> Path:
    folder = tmp_path / "qd" / "simplified"
    folder.mkdir(parents=True)
    rows = [{"key_id": str(i), "recognized": i != 1, "word": "cat", "drawing": [[[0, i], [0, 9]]]} for i in range(4)]
    (folder / "cat.ndjson").write_text("\n".join(json.dumps(row) for row in rows) + "\n")
    (folder / "palm tree.ndjson").write_text('{"recognized":false,"drawing":[]}\n{"drawing": 3}\n')
    return folder


def test_quickdraw_keeps_line_numbers_and_recognised_drawings(quickdraw: Path) -> None:
    data = QuickDraw(quickdraw.parent)
    assert data.categories == ("cat", "palm tree")
    assert [(s.id, s.line) for s in data.sketches(["cat"])] == [("cat/0", 1), ("cat/2", 3), ("cat/3", 4)]
    assert data.sketches(["cat"])[1].source.endswith("cat.ndjson:3")
    with pytest.raises(DatasetError, match=r"no \.ndjson"):
        QuickDraw(quickdraw.parent.parent)


def test_folder_takes_the_first_sub_folder_as_category(tmp_path: Path) -> None:
    for name in ("a.png", "cats/1.png", "cats/persian/2.png", "dogs/1.png"):
        picture(tmp_path / name)
    data = PhotoFolder(tmp_path)
    assert data.categories == ("", "cats", "dogs")
    assert [s.id for s in data.photos(["cats"])] == ["cats/1", "cats/persian/2"]
    (tmp_path / "empty").mkdir()
    with pytest.raises(DatasetError, match="no pictures"):
        PhotoFolder(tmp_path / "empty")


def test_segmentation_reads_the_index_and_checks_it(tmp_path: Path) -> None:
    picture(tmp_path / "photo" / "1.png")
    mask = np.zeros((8, 8), np.uint8)
    mask[2:4] = 255
    (tmp_path / "mask").mkdir()
    Image.fromarray(mask).save(tmp_path / "mask" / "1.png")
    index = tmp_path / "index.csv"
    index.write_text("photo,category,mask\nphoto/1.png,fire hydrant,mask/1.png\n")
    (pair,) = MaskFolder(tmp_path).pairs(["fire hydrant"])
    assert pair.photo.id == "fire hydrant/1" and np.array_equal(pair.read_mask(), mask > 0)
    for text, why in [
        ("photo,mask\n", "no column 'category'"),
        ("photo,category,mask\nphoto/2.png,cat,mask/1.png\n", "index.csv:2: photo/2.png is no file"),
        ("photo,category,mask\n../../etc/passwd,cat,mask/1.png\n", "outside"),
        ("photo,category,mask\nphoto/1.png\n", "an empty path"),
    ]:
        index.write_text(text)
        with pytest.raises(DatasetError, match=why):
            MaskFolder(tmp_path)
    index.unlink()
    with pytest.raises(DatasetError, match=r"no index\.csv; expected a folder with index\.csv, photo/ and mask/"):
        MaskFolder(tmp_path)


def masked(root: Path, mask: Image.Image, photo: Image.Image, orientation: int = 1) -> MaskedPhoto:
    """A photo stored as it is given and to be turned, and its mask."""
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    photo.save(root / "1.jpg", exif=exif, quality=95)
    mask.save(root / "1.png")
    (root / "index.csv").write_text("photo,category,mask\n1.jpg,cat,1.png\n")
    return MaskFolder(root).pairs()[0]


def test_masks_of_nought_and_one_are_read_and_those_that_mark_nothing_refused(tmp_path: Path) -> None:
    thing, photo = np.zeros((6, 9), np.uint8), Image.new("RGB", (9, 6))
    thing[1:3, 2:5] = 1
    for value in (1, 255):
        assert np.array_equal(masked(tmp_path, Image.fromarray(thing * value), photo).read_mask(), thing > 0)
    for value in (0, 38, 127):
        pair = masked(tmp_path, Image.fromarray(thing * value), photo)
        with pytest.raises(DatasetError, match=rf"1\.png: marks nothing, its brightest pixel is {value}"):
            pair.read_mask()


def test_what_is_transparent_in_a_mask_is_not_marked(tmp_path: Path) -> None:
    thing, photo = np.zeros((6, 9), np.uint8), Image.new("RGB", (9, 6))
    thing[1:3, 2:5] = 255
    white = Image.new("RGB", (9, 6), "white")
    white.putalpha(Image.fromarray(thing))
    assert np.array_equal(masked(tmp_path, white, photo).read_mask(), thing > 0)


def test_a_broken_mask_is_refused_by_name(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (400, 500)).astype(np.uint8)
    pair = masked(tmp_path, Image.fromarray(noise), Image.new("RGB", (500, 400)))
    whole = pair.mask.read_bytes()
    last = whole.rindex(b"IDAT")  # the decoder raises SyntaxError for a part that has no name
    for broken in (whole[:last] + b"\xdcDAT" + whole[last + 4 :], whole[: len(whole) // 2], b"", b"no picture"):
        pair.mask.write_bytes(broken)
        with pytest.raises(DatasetError, match=r"1\.png: mask cannot be read .*; make it again"):
            pair.read_mask()


def test_a_mask_of_another_size_than_its_photo_is_named_with_it(tmp_path: Path) -> None:
    pair = masked(tmp_path, Image.new("L", (6, 9), 255), Image.new("RGB", (9, 6)))
    with pytest.raises(DatasetError, match=r"1\.png: 6 x 9 pixels, but its photo \S*1\.jpg has 9 x 6"):
        pair.read_mask()


@pytest.mark.parametrize("orientation", [5, 6, 7, 8])
def test_a_mask_of_a_rotated_photo_may_be_stored_with_or_without_the_rotation(tmp_path: Path, orientation: int) -> None:
    dark = np.zeros((32, 48), bool)
    dark[:8, 8:40], dark[:24, 8:16] = True, True  # looks different however it is turned
    stored = Image.fromarray(np.where(dark, 0, 255).astype(np.uint8))
    pair = masked(tmp_path, Image.fromarray(dark.astype(np.uint8) * 255), stored.convert("RGB"), orientation)
    seen = read_image(pair.photo.path)[0].numpy() < 0.5
    assert seen.shape == (48, 32) and np.array_equal(pair.read_mask(), seen)
    pair = masked(tmp_path, Image.fromarray(seen.astype(np.uint8) * 255), stored.convert("RGB"), orientation)
    assert np.array_equal(pair.read_mask(), seen)


def test_published_splits_have_their_sizes() -> None:
    splits = [split for layout in layouts.LAYOUTS for split in layout.splits]
    assert len(set(splits)) == 6
    for split in splits:
        assert len(set(data_lines(split))) == int(split.split("-")[1])
    assert all(map(is_unseen, data_lines("sketchy-21")))


@pytest.mark.parametrize(
    ("name", "unseen"),
    [
        ("ox", "cow"),
        ("Water_Buffalo", "cow"),
        ("computer-mouse", "mouse"),
        ("rat", "mouse"),
        ("pigeon", "songbird"),
        ("bird", "songbird"),
        ("standing bird", "songbird"),
        ("albatross", "seagull"),
        ("sea gull", "seagull"),
        ("palm_tree", "tree"),
        ("palmtree", "tree"),
        ("oak tree", "tree"),
        ("joshua_tree", "tree"),
        ("Trees", "tree"),
        ("tower block", "skyscraper"),
        ("barn", "cabin"),
        ("log cabin", "cabin"),
        ("rhino", "rhinoceros"),
        ("griaffe", "giraffe"),
        ("chainsaw", "saw"),
        ("wind turbine", "windmill"),
        ("killer whale", "dolphin"),
        ("n02403003", "cow"),
        ("n02058221", "seagull"),
        ("windows", "window"),
        ("mice", "mouse"),
    ],
)
def test_synonyms_and_kinds_of_unseen_classes_are_unseen(name: str, unseen: str) -> None:
    assert is_unseen(name) and is_unseen(unseen)


FREE = ["baseball bat", "see saw", "wading_bird", "seesaw", "street", "combat", "cat", "bus", "glasses", "swan"]
FREE += ["door handle", "lighthouse", "knife", "n02124075", "car_(sedan)", "saxophone", "windsor_chair", "mousepad", ""]


@pytest.mark.parametrize("name", FREE)
def test_names_of_other_categories_may_be_trained_on(name: str) -> None:
    assert not is_unseen(name)


def test_comparable_names_ignore_brackets_separators_and_case() -> None:
    assert comparable_name("car_(sedan)") == "car" and comparable_name("hot-air_balloon") == comparable_name(
        "Hot air  balloon"
    )


def test_every_seen_sketchy_class_is_free_and_every_unseen_one_is_not(shared_data: Path) -> None:
    categories = Sketchy(shared_data / "sketchy-mini").categories
    blocked = {name for name in categories if is_unseen(name)}
    assert len(categories) == 114 and blocked == set(categories) & set(data_lines("sketchy-21")) and len(blocked) == 10


def test_held_out_is_one_in_five_and_the_same_everywhere() -> None:
    ids = [f"n02139199_{i}" for i in range(5000)]
    assert sum(map(held_out, ids)) / 5000 == pytest.approx(0.2, abs=0.02)
    assert [held_out(name) for name in ids[:12]] == [held_out(photo_id_of(f"{name}-3")) for name in ids[:12]]
    assert [i for i in range(30) if held_out(str(i))] == [8, 9]


def test_data_sets_load_no_torch() -> None:
    code = (
        "import sys, sketchfusion.lab.datasets.layouts, sketchfusion.lab.datasets.sketchy, "
        "sketchfusion.lab.datasets.folders, sketchfusion.lab.datasets.base; sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_real_data_has_the_counts_of_its_card(shared_data: Path) -> None:
    sketchy = Sketchy(shared_data / "sketchy-mini")
    photos = {p.photo_id for p in sketchy.photos()}
    assert (len(sketchy.photos()), len(sketchy.sketches())) == (2850, 2850)
    assert {s.photo_id for s in sketchy.sketches()} <= photos
    quickdraw = QuickDraw(shared_data / "quickdraw-mini")
    assert (len(quickdraw.categories), len(quickdraw.sketches())) == (336, 5471)
    pairs = MaskFolder(shared_data / "segmentation-mini").pairs()
    assert len(pairs) == 225
    for pair in pairs[::25]:
        assert pair.read_mask().shape == np.asarray(Image.open(pair.photo.path)).shape[:2]
