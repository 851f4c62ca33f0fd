"""Pictures are decoded once, what a run was killed in goes on, and what no task takes is not decoded."""

from __future__ import annotations

import hashlib
import json
import os
import signal
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw
from torch import Tensor

from fixtures.writers import start
from sketchfusion.io.images import letterbox
from sketchfusion.lab import datasets
from sketchfusion.lab.training import bank as banks
from sketchfusion.lab.training import methods
from sketchfusion.lab.training.bank import GIB, Picture, PictureArray, Pictures, decode, world_banks
from sketchfusion.lab.training.correspondence import in_windows
from sketchfusion.lab.training.feature_cache import FrozenFeatures, FrozenInput, valid_cells
from sketchfusion.lab.training.labelled import warped_outlines, world_points
from sketchfusion.lab.training.methods import CachedEncoder
from sketchfusion.lab.training.pseudo import pseudo_points
from sketchfusion.lab.training.recipes import CorrespondenceRecipe, RecognitionRecipe, RetrievalRecipe, UniversalRecipe
from sketchfusion.lab.training.sources import Sources
from sketchfusion.lab.training.train import choose, most_taken

SIDE = 32


@pytest.fixture
def drawn(tmp_path: Path) -> list[Picture]:
    """Ten sketches, of which the fourth is blank and the seventh cannot be read."""
    for number in range(10):
        page = Image.new("L", (40 + number, 40), 255)
        if number != 3:
            ImageDraw.Draw(page).line([(5, 6), (12 + 2 * number, 30), (20, 8)], fill=0, width=1 + number % 3)
        page.save(tmp_path / f"{number}.png")
    (tmp_path / "6.png").write_bytes(b"broken")
    return [Picture(str(tmp_path / f"{number}.png"), (f"cat {number}",)) for number in range(10)]


def refuse(*_: object) -> None:
    raise AssertionError("found again")


def counted(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The paths of all pictures that are read from now on."""
    paths, read = list[str](), banks.read_image
    monkeypatch.setattr(banks, "read_image", lambda path, kind: paths.append(Path(path).name) or read(path, kind))
    return paths


@pytest.mark.parametrize("shard", [4, 1024])
def test_windows_and_hashes_are_found_once_when_a_picture_is_decoded(
    shard: int, drawn: list[Picture], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(banks, "SHARD", shard)
    cache, points = tmp_path / "cache", torch.rand(200, 16, 2)
    noise = np.random.default_rng(0).integers(0, 256, (3, 3, SIDE, SIDE), np.uint8)
    photos = PictureArray("photo", noise, [("cat",)] * 3, about=banks.described(noise))

    def arrays() -> list[PictureArray]:
        pairs = warped_outlines(photos, 3, SIDE, cache), pseudo_points(photos, cache, 3), world_points(1, SIDE, cache)
        return [decode(drawn, "sketch", SIDE, cache), *world_banks(1, SIDE, cache), *(of.sketches for of in pairs)]

    arrays()
    for name in ("stroke_window", "described"):
        monkeypatch.setattr(banks, name, refuse)
    again = arrays()
    assert [of.digests for of in again if len(of)]
    monkeypatch.undo()
    for found in (of for of in again if of.kind == "sketch" and len(of)):
        pages = torch.from_numpy(found.stored(slice(None))).float() / 255
        wanted = [letterbox(page.expand(3, -1, -1), SIDE, "sketch")[0].mean(0, keepdim=True) for page in pages]
        plain = PictureArray("sketch", found.stored(slice(None)), found.names, boxes=found.boxes)
        hashes = [hashlib.sha256(page.tobytes()).digest() for page in found.stored(slice(None))]
        assert found.known["sha256"].tobytes() == b"".join(hashes) and found.digests == plain.digests
        monkeypatch.setattr(banks, "stroke_window", refuse)
        monkeypatch.setattr("sketchfusion.io.images.stroke_window", refuse)
        assert torch.equal(found.windows([*range(len(found))]), torch.stack(wanted))
        few = found.at([0, len(found) - 1])
        assert torch.equal(few.windows([1, 0]), torch.stack([wanted[-1], wanted[0]]))
        marks = valid_cells(Pictures([found]), 8)
        moved = in_windows(SimpleNamespace(sketches=found, sketch_points=points[: len(found)]))  # type: ignore[arg-type]
        monkeypatch.undo()
        other = valid_cells(Pictures([plain]), 8)
        assert (marks is None) == (other is None)
        if marks and other:
            of = [*range(len(found))], [place % 2 for place in range(len(found))]
            assert torch.equal(marks(*of), other(*of))
        assert torch.equal(
            moved,
            in_windows(SimpleNamespace(sketches=plain, sketch_points=points[: len(found)])),  # type: ignore[arg-type]
        )


def test_what_is_stored_about_pictures_belongs_to_exactly_that_file(drawn: list[Picture], tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    first = decode(drawn[:3], "sketch", SIDE, cache)
    (path,) = cache.iterdir()
    digests, content = first.digests, path.read_bytes()
    np.save(path, np.zeros((3, 1, SIDE, SIDE), np.uint8))  # other pictures, of the same size
    assert decode(drawn[:3], "sketch", SIDE, cache).digests == digests and path.read_bytes() == content


def test_views_do_not_depend_on_the_number_of_threads(
    drawn: list[Picture], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sketches = decode(drawn, "sketch", SIDE, tmp_path / "cache")
    photos = PictureArray("photo", np.random.default_rng(0).integers(0, 256, (9, 3, 256, 256), np.uint8), [("a",)] * 9)

    def views() -> list[Tensor]:
        same = FrozenInput("pixels", lambda squares: squares)
        features = [FrozenFeatures(same, Pictures([of]), 256, views=3) for of in (sketches, photos)]
        return [of([*range(9)], [0, 1, 2] * 3) for of in features]

    usual, before = views(), torch.get_num_threads()
    for threads in (1, 5):
        with ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,)) as pool:
            monkeypatch.setattr(banks, "_threads", lambda pool=pool: pool)
            assert all(map(torch.equal, views(), usual))
    monkeypatch.undo()
    for threads in (1, 3):
        torch.set_num_threads(threads)
        assert all(map(torch.equal, views(), usual)) and torch.get_num_threads() == threads
    torch.set_num_threads(1)
    monkeypatch.setattr(FrozenFeatures, "_on_cpu", False)  # elsewhere the views of an array are made together
    assert all(map(torch.equal, views(), usual))
    torch.set_num_threads(before)


def test_nothing_is_marked_for_a_phase_without_steps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sides = list[int]()
    monkeypatch.setattr(methods, "valid_cells", lambda pictures, grid, windowed: sides.append(grid))
    model = SimpleNamespace(side=64, device=torch.device("cpu"))
    method: Any = SimpleNamespace(
        model=model,
        precision=torch.float32,
        shown=("window",),
        cached_inputs=lambda share: [],
        grid=lambda share: round(8 * share),
    )
    for half_size, marked in ((True, [4, 8]), (False, [8])):
        encode, sides[:] = CachedEncoder(method, tmp_path, half_size=half_size), []
        for side in (32, 64):
            encode([], side)
        assert sides == marked


def test_decoding_says_what_disk_it_takes_and_refuses_what_does_not_fit(
    drawn: list[Picture], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    read, cache = counted(monkeypatch), tmp_path / "none" / "cache"
    monkeypatch.setattr("shutil.disk_usage", lambda path: SimpleNamespace(free=2 * GIB))
    line = r"10 decoded pictures \(sketch\) take 2\.3 GiB in .*none/cache, where 2\.0 are free: take another --cache$"
    with pytest.raises(ValueError, match=line):
        decode(drawn, "sketch", 15_800, cache)
    assert read == [] and not cache.exists()

    def first(path: str, kind: str) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("shutil.disk_usage", lambda path: SimpleNamespace(free=3 * GIB))
    monkeypatch.setattr(banks, "read_image", first)
    with pytest.raises(KeyboardInterrupt):
        decode(drawn, "sketch", 15_800, cache)
    assert caplog.messages == [f"10 decoded pictures (sketch) take 2.3 GiB in {cache}"] and not [*cache.iterdir()]


def killed_at(place: str, drawn: list[Picture], cache: Path) -> None:
    read = banks.read_image

    def dying(path: str, kind: Any) -> Tensor:
        if Path(path).name == place:
            os.kill(os.getpid(), signal.SIGKILL)
        return read(path, kind)

    pytest.MonkeyPatch().setattr(banks, "read_image", dying)
    banks.SHARD = 4
    decode(drawn, "sketch", SIDE, cache)


def test_decoding_that_was_killed_goes_on_and_what_cannot_be_read_is_counted_once(
    drawn: list[Picture], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    process = start(killed_at, "9.png", drawn, tmp_path / "cache")
    process.join()
    assert process.exitcode == -signal.SIGKILL
    monkeypatch.setattr(banks, "SHARD", 4)
    read = counted(monkeypatch)
    banks._warn_once.cache_clear()
    bank = decode(drawn, "sketch", SIDE, tmp_path / "cache")
    assert sorted(read) == ["8.png", "9.png"] and len(bank) == 9
    assert [of for (of,) in bank.names] == [f"cat {number}" for number in range(10) if number != 6]
    assert caplog.messages == ["1 of 10 pictures (sketch) cannot be read and are left out; nothing is left of cat 6"]
    whole = decode(drawn, "sketch", SIDE, tmp_path / "other")
    assert np.array_equal(bank.stored([8, 0, 5, 0]), whole.stored([8, 0, 5, 0]))
    assert np.array_equal(bank.at([7, 3]).stored(slice(None)), whole.stored([7, 3])) and bank.digests == whole.digests


def test_two_runs_that_decode_the_same_at_once_do_not_disturb_each_other(
    drawn: list[Picture], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read, usual, others = banks.read_image, banks._threads, list[PictureArray]()

    def slow(path: str, kind: Any) -> Tensor:
        if path == drawn[5].path and not others:
            others.append(PictureArray("sketch", np.empty(0), []))
            with ThreadPoolExecutor(1, initializer=torch.set_num_threads, initargs=(1,)) as pool:
                monkeypatch.setattr(banks, "_threads", lambda: pool)
                others[0] = decode(drawn, "sketch", SIDE, tmp_path / "cache")
                monkeypatch.setattr(banks, "_threads", usual)
        return read(path, kind)

    monkeypatch.setattr(banks, "SHARD", 4)
    monkeypatch.setattr(banks, "read_image", slow)
    mine = decode(drawn, "sketch", SIDE, tmp_path / "cache")
    assert others[0].names == mine.names and others[0].digests == mine.digests
    assert np.array_equal(others[0].stored(slice(None)), mine.stored(slice(None)))
    assert not [path for path in (tmp_path / "cache").iterdir() if path.name.startswith(".")]


@pytest.fixture
def roots(tmp_path: Path) -> list[Path]:
    """Quick, Draw! drawings of three names, forty each, and photos of four, twenty each, of which two are drawn."""
    for folder in ("drawings", *(f"photos/{name}" for name in ("car", "cat", "cow", "lamp"))):
        (tmp_path / folder).mkdir(parents=True)
    for name in ("cat", "car", "house plant"):
        line = json.dumps({"word": name, "recognized": True, "drawing": [[[0, 255], [0, 255]]]})
        (tmp_path / "drawings" / f"{name}.ndjson").write_text(f"{line}\n" * 40)
    for name in ("car", "cat", "cow", "lamp"):
        for number in range(20):
            Image.new("RGB", (8, 8), (9 * number, 0, 0)).save(tmp_path / "photos" / name / f"{number:02}.png")
    return [tmp_path / "drawings", tmp_path / "photos"]


def taken(roots: list[Path], recipe: Any) -> Callable[[], Sources]:
    data = [*map(datasets.open, roots)]
    return lambda: Sources(data, data, roots[0].parent / "cache", stored=16, most=most_taken(recipe))


def test_what_no_task_of_the_recipe_can_take_is_not_decoded(roots: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    every = Sources(*2 * [[*map(datasets.open, roots)]], roots[0].parent / "cache", stored=16)
    photos, sketches, shared = every.sharp_photos(), every.sketches(), {"car", "cat"}
    read = counted(monkeypatch)
    few = taken(roots, RetrievalRecipe(per_class=5, full_per_class=2))
    for _ in range(2):
        found = few().sharp_photos(), few().sketches()
        assert [len(of) for of in found] == [10, 10] and len(read) == 20
    for all_of, kept in zip((photos, sketches), found, strict=True):
        for most in (5, 2):
            assert kept.named(shared, most).names == all_of.named(shared, most).names
            assert kept.named(shared, most).digest() == all_of.named(shared, most).digest()
    assert len(taken(roots, RecognitionRecipe(per_class=5))().sketches()) == 15  # without photos too
    assert len(taken(roots, RetrievalRecipe(per_class=0))().sketches()) == len(sketches.named(shared, 0))


def test_correspondence_decodes_the_photos_that_are_warped_or_drawn_and_tasks_share_them(roots: list[Path]) -> None:
    photos = Sources(*2 * [[*map(datasets.open, roots)]], roots[0].parent / "cache", stored=16).sharp_photos()
    matched, paired = CorrespondenceRecipe(warps=23, drawn=3), RetrievalRecipe(per_class=5)
    for recipe in (matched, UniversalRecipe(retrieval=paired, correspondence=matched)):
        some = taken(roots, recipe)().sharp_photos()
        assert len(some) < len(photos)
        chosen = photos.seen[: matched.warps]
        assert some.at(some.seen[: matched.warps]).digest() == photos.at(chosen).digest()
        drawn, before = (pseudo_points(of, roots[0].parent / "cache", 3) for of in (some, photos))
        assert drawn.photos.digest() == before.photos.digest()
    assert some.named({"car", "cat"}, 5).digest() == photos.named({"car", "cat"}, 5).digest()
    paper, _ = choose("correspondence", "SketchFusion", {}, "paper")
    assert len(taken(roots, paper)().sharp_photos()) == 0


@pytest.mark.parametrize("shard", [2, 1024])
def test_when_no_picture_can_be_read_that_is_said_at_each_start(
    shard: int, drawn: list[Picture], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(banks, "SHARD", shard)
    for picture in drawn:
        Path(picture.path).write_bytes(b"broken")
    for _ in range(2):
        with pytest.raises(ValueError, match=r"none of 10 pictures can be read, .*0\.png the first; save them again$"):
            decode(drawn, "sketch", SIDE, tmp_path / "cache")
