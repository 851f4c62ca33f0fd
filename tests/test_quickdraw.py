"""Quick, Draw! in every form it is published in, read the same from each; a hostile pickle runs nothing."""

from __future__ import annotations

import io
import json
import os
import pickle
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest

from sketchfusion.errors import ImageError
from sketchfusion.io.images import read_image
from sketchfusion.io.strokes import read_bin, read_drawing, read_part, read_sketchrnn, to_drawing
from sketchfusion.lab.datasets.quickdraw import QuickDraw

CAT = [[[10, 200, 200], [20, 20, 180]], [[10, 60], [180, 240]]]  # strokes as [x.., y..]
DOT = [[[7, 30], [7, 60]]]


def ndjson(folder: Path, name: str, times: bool) -> None:
    folder.mkdir(parents=True)
    rows = []
    for key, strokes in enumerate((CAT, DOT, CAT), 5_000_000_000_000_000):
        drawing = [[x, y, list(range(len(x)))] if times else [x, y] for x, y in strokes]
        rows.append({"word": name, "key_id": str(key), "recognized": strokes is CAT, "drawing": drawing})
    (folder / f"{name}.ndjson").write_text("\n".join(map(json.dumps, rows)) + "\n")


def binary(strokes: list, key: int, recognised: bool) -> bytes:
    body = struct.pack("<Q2sbIH", key, b"DE", recognised, 1_490_000_000, len(strokes))
    for x, y in strokes:
        body += struct.pack("<H", len(x)) + bytes(x) + bytes(y)
    return body


def offsets(strokes: list) -> np.ndarray:
    rows, at = [], np.zeros(2, int)
    for x, y in strokes:
        for n, point in enumerate(zip(x, y, strict=True)):
            rows.append([*(np.array(point) - at), n == len(x) - 1])
            at = np.array(point)
    return np.array(rows, np.int16)


def boxed(arrays: list[np.ndarray]) -> np.ndarray:
    box = np.empty(len(arrays), object)
    box[:] = arrays
    return box


def python_2_pickle(arrays: list[np.ndarray]) -> bytes:
    """An object array as numpy under Python 2 pickled it: bytes are plain strings, numpy's core has its old name."""

    def text(data: bytes) -> bytes:
        return b"T" + struct.pack("<i", len(data)) + data

    def dtype(kind: bytes, order: bytes, flags: bytes) -> bytes:
        new = b"cnumpy\ndtype\n" + text(kind) + b"K\x00K\x01\x87R"
        return new + b"(K\x03" + text(order) + b"NNN" + minus + minus + b"K" + flags + b"tb"

    def array(shape: tuple[int, ...], kind: bytes, data: bytes) -> bytes:
        new = b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85" + text(b"b") + b"\x87R"
        sizes = b"".join(b"J" + struct.pack("<i", size) for size in shape)
        return new + b"(K\x01(" + sizes + b"t" + kind + b"\x89" + data + b"tb"

    minus = b"J\xff\xff\xff\xff"
    number, thing = dtype(b"i2", b"<", b"\x00"), dtype(b"O8", b"|", b"?")
    items = b"".join(array(a.shape, number, text(a.astype("<i2").tobytes())) + b"a" for a in arrays)
    return b"\x80\x02" + array((len(arrays),), thing, b"]" + items) + b"."


def npz_of(path: Path, pickles: dict[str, tuple[int, bytes]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as archive:
        for part, (count, pickled) in pickles.items():
            file = io.BytesIO()
            np.lib.format.write_array_header_1_0(file, {"descr": "|O", "fortran_order": False, "shape": (count,)})
            archive.writestr(f"{part}.npy", file.getvalue() + pickled)


PARTS = {"train": [CAT, DOT, CAT], "valid": [DOT], "test": [CAT]}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    ndjson(tmp_path / "simplified", "palm tree", times=False)
    ndjson(tmp_path / "raw", "palm tree", times=True)
    (tmp_path / "binary").mkdir()
    drawings = [binary(CAT, 5, True), binary(DOT, 6, False), binary(CAT, 2**63, True)]
    (tmp_path / "binary" / "palm tree.bin").write_bytes(b"".join(drawings))
    (tmp_path / "numpy_bitmap").mkdir()
    bitmaps = np.zeros((2, 784), np.uint8)
    bitmaps[1, :28] = 255
    np.save(tmp_path / "numpy_bitmap" / "palm tree.npy", bitmaps)
    pickles = {part: (len(d), python_2_pickle([offsets(s) for s in d])) for part, d in PARTS.items()}
    npz_of(tmp_path / "sketchrnn" / "palm tree.npz", pickles)
    return tmp_path


@pytest.mark.parametrize("form", ["simplified", "raw", "binary"])
def test_forms_with_strokes_are_read_alike(root: Path, form: str) -> None:
    data = QuickDraw(root / form)
    assert data.categories == ("palm tree",)
    first, third = data.sketches()
    assert (first.line, third.line, first.kind) == (1, 3, "sketch")  # the second was not recognised
    drawing = (read_bin if form == "binary" else read_drawing)(first.path, first.line)
    assert [stroke.tolist() for stroke in drawing.strokes] == [
        [[0, 0], [190, 0], [190, 160]],
        [[0, 160], [50, 220]],
    ]
    assert (drawing.width, drawing.height) == (190, 220)
    # the form is recognised by its folder too, and what a sample names can be read as a picture
    assert QuickDraw(root).form == "simplified"
    expected = read_image(f"{root}/simplified/palm tree.ndjson:1", "sketch")
    assert read_image(first.source, "sketch").equal(expected) and expected.min() < 0.2


def test_binary_keys_are_64_bit_numbers(root: Path) -> None:
    assert [s.id for s in QuickDraw(root / "binary").sketches()] == ["palm tree/5", f"palm tree/{2**63}"]


def test_bitmaps_come_dark_on_white(root: Path) -> None:
    data = QuickDraw(root / "numpy_bitmap")
    blank, second = data.sketches()
    picture = read_image(second.source)
    assert picture.shape == (3, 28, 28) and picture[:, 0].max() == 0 and picture[:, 1:].min() == 1
    assert read_image(blank.source).min() == 1


def test_python_2_pickles_are_read_as_numpy_would_read_them(root: Path) -> None:
    path = root / "sketchrnn" / "palm tree.npz"
    with np.load(path, allow_pickle=True, encoding="latin1") as trusted:
        for part in PARTS:
            expected = list(trusted[part])
            assert all(np.array_equal(a, b) for a, b in zip(read_part(path, part), expected, strict=True))


def test_pickles_of_today_are_read_too(tmp_path: Path) -> None:
    arrays = {part: [offsets(strokes) for strokes in drawings] for part, drawings in PARTS.items()}
    np.savez(tmp_path / "cat.npz", **{part: boxed(items) for part, items in arrays.items()})
    for part, items in arrays.items():
        assert all(np.array_equal(a, b) for a, b in zip(read_part(tmp_path / "cat.npz", part), items, strict=True))
    big_endian, columns = offsets(CAT).astype(">i2"), np.asfortranarray(offsets(CAT).astype(np.float32))
    np.savez(tmp_path / "odd.npz", train=boxed([big_endian, columns]))
    assert all(np.array_equal(item, offsets(CAT)) for item in read_part(tmp_path / "odd.npz", "train"))


def test_sketch_rnn_numbers_run_through_its_parts(root: Path) -> None:
    assert [s.line for s in QuickDraw(root / "sketchrnn").sketches()] == [1, 2, 3, 4, 5]
    drawing = read_sketchrnn(root / "sketchrnn" / "palm tree.npz", 5)
    assert [len(stroke) for stroke in drawing.strokes] == [3, 2]
    assert drawing.strokes[1].tolist() == [[0, 160], [50, 220]]
    last = QuickDraw(root / "sketchrnn").sketches()[-1]
    assert read_image(last.source, "sketch").equal(read_image(f"{root}/simplified/palm tree.ndjson:1", "sketch"))


def test_offsets_keep_a_last_stroke_whose_pen_is_never_lifted() -> None:
    drawing = to_drawing(np.array([[5, 5, 0], [1, 0, 1], [0, 1, 0]], np.int16))
    assert [stroke.tolist() for stroke in drawing.strokes] == [[[0, 0], [1, 0]], [[1, 1]]]


class Intruder:
    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple:
        return os.mkdir, (str(self.marker),)


@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_a_pickle_that_asks_for_anything_else_runs_nothing(tmp_path: Path, protocol: int) -> None:
    marker = tmp_path / "was here"
    npz_of(tmp_path / "cat.npz", {"train": (1, pickle.dumps([Intruder(marker)], protocol))})
    with pytest.raises(ImageError, match=r"asks for posix\.mkdir"):
        read_image(f"{tmp_path}/cat.npz:1")
    assert not marker.exists()
    pickle.loads(pickle.dumps(Intruder(marker)))
    assert marker.exists()  # the same pickle does run elsewhere


WRONG = ([1, 2], *(boxed(a) for a in ([np.zeros((3, 2), np.int16)], [np.zeros(3, object)], [np.ones((2, 3))] * 2)))


@pytest.mark.parametrize("pickled", [b"", b"\x80\x02", b"garbage", *map(pickle.dumps, WRONG)])
def test_broken_sketch_rnn_files_are_refused_by_name(tmp_path: Path, pickled: bytes) -> None:
    npz_of(tmp_path / "cat.npz", {"train": (1, pickled)})
    with pytest.raises(ImageError, match=r"cat\.npz: not Sketch-RNN's drawings") as caught:
        read_part(tmp_path / "cat.npz", "train")
    assert "\n" not in str(caught.value)


def test_broken_files_of_every_form_are_refused_by_name(root: Path) -> None:
    path = root / "binary" / "palm tree.bin"
    whole = path.read_bytes()
    for data in (whole[:-1], whole + b"\x01", b"not drawings"):
        path.write_bytes(data)
        with pytest.raises(ImageError, match="cut short, or not binary"):
            QuickDraw(root / "binary").sketches()
    path.write_bytes(whole)
    for source, why in [
        (f"{path}:9", "no drawing 9; there are 3"),
        (f"{path}:0", "no drawing 0"),
        (f"{root}/sketchrnn/palm tree.npz:6", "no drawing 6; there are 5"),
        (f"{root}/numpy_bitmap/palm tree.npy:3", "no bitmap 3; there are 2"),
    ]:
        with pytest.raises(ImageError, match=why):
            read_image(source)
    np.save(root / "numpy_bitmap" / "palm tree.npy", np.zeros((2, 28, 28), np.uint8))
    with pytest.raises(ImageError, match=r"expected \(N, 784\)"):
        QuickDraw(root / "numpy_bitmap").sketches()
    np.save(root / "numpy_bitmap" / "palm tree.npy", boxed([Intruder(root / "x")]), allow_pickle=True)
    with pytest.raises(ImageError, match="not an array of bitmaps"):
        QuickDraw(root / "numpy_bitmap").sketches()
    (root / "sketchrnn" / "palm tree.npz").write_bytes(b"PK\x03\x04 cut")
    with pytest.raises(ImageError, match="not Sketch-RNN's"):
        QuickDraw(root / "sketchrnn").sketches()


def test_names_as_downloaded_give_the_categories(tmp_path: Path) -> None:
    for name in ("full_simplified_sea turtle.ndjson", "bat.ndjson", "full_simplified_t-shirt.ndjson"):
        (tmp_path / name).write_text(json.dumps({"key_id": "1", "recognized": True, "drawing": CAT}) + "\n")
    (tmp_path / "bat.ndjson").rename(tmp_path / "bat.NDJSON")
    (tmp_path / "cat.ndjson").touch()  # no drawings, no category
    assert QuickDraw(tmp_path).categories == ("bat", "sea turtle", "t-shirt")


def test_names_that_hold_the_name_of_a_form_stay_whole(tmp_path: Path) -> None:
    for name in ("straw hat", "draw_bridge", "raw_fish"):
        (tmp_path / f"{name}.ndjson").write_text(json.dumps({"key_id": "1", "recognized": True, "drawing": CAT}) + "\n")
    assert QuickDraw(tmp_path).categories == ("draw_bridge", "fish", "straw hat")


def test_the_full_twin_of_a_sketch_rnn_file_is_no_category(tmp_path: Path) -> None:
    for name, count in (("cat.npz", 1), ("cat.full.npz", 2), ("sketchrnn_dog.full.npz", 3)):
        np.savez(tmp_path / name, train=boxed([offsets(CAT)] * count))
    data = QuickDraw(tmp_path)
    assert data.categories == ("cat", "dog")
    assert [len(data.sketches([name])) for name in data.categories] == [1, 3]
