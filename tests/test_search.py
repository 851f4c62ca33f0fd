"""Searching a gallery: by words, by the like of a photo, with confidence, and with copies folded into one."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw, ImageEnhance
from torch import Tensor
from torch.nn import functional as F

from fixtures.photos import photo
from fixtures.pixels import PixelExtractor
from sketchfusion.errors import ImageError
from sketchfusion.extractor import ModelInput, ModelOutput
from sketchfusion.gallery import Gallery, GalleryError, Hit, Query, nearest
from sketchfusion.gallery.confidence import reference_sketches
from sketchfusion.gallery.query import PROMPTS, Guesser
from sketchfusion.gallery.store import GalleryStore
from sketchfusion.tasks.inputs import read_sketches

COLOURS = {"red": (220, 30, 30), "green": (30, 160, 40), "blue": (40, 60, 210)}


class ColourReader(PixelExtractor):
    """A model whose space of words knows three colours."""

    labels: tuple[str, ...] = ()
    logit_scale = 10.0

    @property
    def joint_dim(self) -> int:
        return 3

    def forward(self, views: Sequence[ModelInput]) -> ModelOutput:
        squares = torch.stack([view.square for view in views])
        return replace(super().forward(views), joint=1 - squares.mean((2, 3)) @ (1 - torch.eye(3)) / 2)

    def encode_text(self, prompts: Sequence[str]) -> Tensor:
        rows = [[float(colour in prompt.split()) + 0.01 for colour in COLOURS] for prompt in prompts]
        return F.normalize(torch.tensor(rows), dim=1)

    def encode_image(self, images: object, kind: str = "photo") -> Tensor:
        raise NotImplementedError


class ColourGuesser(ColourReader):
    """One that takes every sketch for something red, or perhaps blue."""

    labels = tuple(COLOURS)

    def encode_image(self, images: Sequence[object], kind: str = "photo") -> Tensor:
        return F.normalize(torch.tensor([[1.0, 0.1, 0.8]] * len(images)), dim=1)


def picture(shape: str, colour: str, number: int) -> Image.Image:
    image = Image.new("RGB", (64, 64), "white")
    x, y = np.random.default_rng(number).integers(4, 20, 2).tolist()
    draw = ImageDraw.Draw(image)
    draw_shape = draw.ellipse if shape == "disc" else draw.rectangle
    draw_shape((x, y, x + 40, y + (40 if shape == "disc" else 14)), fill=COLOURS[colour])
    return image


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("photos")
    for shape in ("disc", "bar"):
        (root / shape).mkdir()
        for number, colour in enumerate(list(COLOURS) * 5):
            picture(shape, colour, number).save(root / shape / f"{colour}-{number:02}.png")
    return root


@pytest.fixture(scope="module")
def gallery(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Gallery:
    gallery = Gallery.open(tmp_path_factory.mktemp("g"), ColourReader())
    assert gallery.add(photos).embedded == 30
    return gallery


def test_words_alone_find_what_they_say(gallery: Gallery) -> None:
    for colour in COLOURS:
        hits = gallery.search(text=f"a {colour} thing", k=10)
        assert {Path(hit.path).stem.split("-")[0] for hit in hits} == {colour}
        assert [hit.rank for hit in hits] == list(range(1, 11))


def test_words_beside_a_sketch_decide_between_what_looks_alike(gallery: Gallery) -> None:
    sketch = picture("bar", "green", 3).convert("L").convert("RGB")
    plain = gallery.search(sketch, k=5)
    assert {hit.category for hit in plain} == {"bar"}
    reds = [h for h in gallery.search(sketch, text="red", k=5) if "red" in Path(h.path).name]
    assert len(reds) > len([h for h in plain if "red" in Path(h.path).name])
    assert gallery.search(sketch, text="red", k=1)[0].category == "bar"


def test_only_the_names_that_are_looked_for_are_encoded() -> None:
    class Counted(ColourGuesser):
        prompts = 0

        def encode_text(self, prompts: Sequence[str]) -> Tensor:
            self.prompts += len(prompts)
            return super().encode_text(prompts)

    model = Counted()
    assert Guesser(model).vector({"red": 0.5}).any() and model.prompts == len(PROMPTS)


def test_what_a_sketch_is_taken_for_is_looked_for_too(photos: Path, tmp_path: Path) -> None:
    gallery = Gallery.open(tmp_path / "g", ColourGuesser())
    gallery.add(photos)
    sketch = read_sketches(picture("bar", "green", 3).convert("L").convert("RGB"))
    plain, guessed = gallery.search(sketch, k=5, guess=False), gallery.search(sketch, k=5)
    assert plain.guesses == {} and list(guessed.guesses) == ["red", "blue"] and sum(guessed.guesses.values()) < 1

    def count(hits: Sequence[Hit], colour: str) -> int:
        return sum(Path(hit.path).name.startswith(colour) for hit in hits)

    assert count(guessed, "red") > count(plain, "red") and guessed[0].category == "bar"
    assert [hit.confidence for hit in guessed] == sorted((hit.confidence for hit in guessed), reverse=True)

    corrected = gallery.answer(Query(sketch, k=5, without=["red"]))
    assert list(corrected.guesses) == ["blue"] and count(corrected, "blue") > count(guessed, "blue")
    assert gallery.search(sketch, text="green", k=5).guesses == {}  # the user's word counts, not the guess
    again = Gallery.open(gallery.uri, ColourGuesser())
    assert again.search(sketch, k=5) == guessed

    class OtherGuesser(ColourGuesser):
        def encode_image(self, images: Sequence[object], kind: str = "photo") -> Tensor:
            return F.normalize(torch.tensor([[0.0, 1.0, 0.1]] * len(images)), dim=1)

    gallery.reindex(OtherGuesser("other", "2"))
    assert next(iter(gallery.search(sketch, k=5).guesses)) == "green"


def test_a_model_or_gallery_without_words_says_so(photos: Path, tmp_path: Path) -> None:
    silent = Gallery.open(tmp_path / "silent", PixelExtractor())
    silent.add(photos)
    with pytest.raises(ValueError, match="pixels cannot read words; choose a model with a CLIP in it"):
        silent.search(text="red")
    older = Gallery.open(tmp_path / "silent", ColourReader())  # the same fingerprint, made before words were kept
    with pytest.raises(GalleryError, match="made before words could be looked for"):
        older.search(text="red")
    assert len(older.search(photos / "bar" / "red-00.png", k=3)) == 3


def test_more_like_a_photo_of_the_gallery_or_any_other(gallery: Gallery, photos: Path, tmp_path: Path) -> None:
    one = photos / "disc" / "red-06.png"
    model = gallery.model
    assert isinstance(model, ColourReader)
    gallery.search(like=photos / "bar" / "red-00.png")
    before = model.embedded
    hits = gallery.search(like=one, k=50)
    assert model.embedded == before  # its vector is there
    assert len(hits) == 29 and str(one) not in {hit.path for hit in hits}
    assert hits[0].category == "disc" and hits[0].score < 1
    elsewhere = tmp_path / "elsewhere.png"
    elsewhere.write_bytes(one.read_bytes())
    again = gallery.search(like=elsewhere, k=50)
    assert (again[0].path, again[0].score) == (str(one), pytest.approx(1, abs=1e-5))
    assert [hit.path for hit in again[1:]] == [hit.path for hit in hits]
    with pytest.raises(ImageError, match=r"gone\.png"):
        gallery.search(like=tmp_path / "gone.png")


def test_confidence_falls_with_the_score_and_cuts(gallery: Gallery, photos: Path) -> None:
    hits = gallery.search(photos / "disc" / "blue-02.png", k=30)
    confidences = [hit.confidence for hit in hits]
    assert confidences == sorted(confidences, reverse=True)
    assert all(0 <= value <= 1 for value in confidences)
    assert confidences[0] > 0.7  # the very picture
    cut = gallery.search(photos / "disc" / "blue-02.png", k=30, min_score=confidences[4])
    assert cut == [hit for hit in hits if hit.confidence >= confidences[4]] and 5 <= len(cut) < 30
    assert gallery.search(photos / "disc" / "blue-02.png", k=3, min_score=0) == hits[:3]


def test_references_are_embedded_when_photos_are_indexed(gallery: Gallery, photos: Path) -> None:
    first = gallery.search(photos / "bar" / "red-00.png", k=2)
    again = Gallery.open(gallery.uri, ColourReader())
    assert again.search(photos / "bar" / "red-00.png", k=2) == first
    assert isinstance(again.model, ColourReader) and again.model.embedded == 1  # the sketch alone


def state_of(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_search_writes_nothing_and_works_in_a_folder_that_cannot_be_written(photos: Path, tmp_path: Path) -> None:
    Gallery.open(tmp_path / "g", ColourReader()).add(photos)
    before = state_of(tmp_path / "g")
    folders = [tmp_path / "g", *(path for path in (tmp_path / "g").rglob("*") if path.is_dir())]
    for folder in folders:
        folder.chmod(0o555)
    try:
        fresh = Gallery.open(tmp_path / "g", ColourReader())
        for query in ({}, {"text": "red"}, {"like": photos / "bar" / "red-00.png"}):
            assert len(fresh.search(photos / "bar" / "blue-02.png", k=3, **query)) == 3
    finally:
        for folder in folders:
            folder.chmod(0o755)
    assert state_of(tmp_path / "g") == before


@pytest.mark.parametrize("damage", ["missing", "flipped bits"])
def test_a_gallery_without_sound_references_answers_alike_and_writes_nothing(
    photos: Path, tmp_path: Path, damage: str
) -> None:
    queries = [{"sketch": photos / "bar" / "blue-02.png"}, {"text": "red"}]
    gallery = Gallery.open(tmp_path / "g", ColourReader())
    gallery.add(photos)
    right = [gallery.search(**query) for query in queries]
    tables = [path for path in (tmp_path / "g").iterdir() if path.name.startswith(("sketches-", "words-"))]
    assert len(tables) == 2
    for table in tables:
        if damage == "missing":
            shutil.rmtree(table)
        else:
            [data] = table.rglob("data/*.lance")
            content = bytearray(data.read_bytes())
            content[len(content) // 3] ^= 16
            data.write_bytes(content)
    before = state_of(tmp_path / "g")
    assert [Gallery.open(tmp_path / "g", ColourReader()).search(**query) for query in queries] == right
    assert state_of(tmp_path / "g") == before
    Gallery.open(tmp_path / "g", ColourReader()).add(photos)
    again = Gallery.open(tmp_path / "g", ColourReader())
    assert [again.search(**query) for query in queries] == right
    assert again.model.embedded == 1  # type: ignore[attr-defined]


def test_reference_sketches_are_those_of_sketch_world() -> None:
    from sketchfusion.world import SEEN, World

    references, world = reference_sketches(), World()
    assert [name for _, name in references] == list(SEEN[:48])
    for hand in (0, 17, 47):
        drawn = world.sketch(SEEN[hand], 5000, hand)[0]  # no training or benchmark draws so many instances
        assert (references[hand][0] == drawn[:, :, None]).all()


def test_copies_are_one_hit(tmp_path: Path, photos: Path) -> None:
    root = tmp_path / "photos"
    root.mkdir()
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 255, (12, 12, 3), dtype=np.uint8)).resize((240, 240))
    query = tmp_path / "query.png"
    noise.save(query)
    noise.save(root / "a.png")
    noise.resize((97, 97)).save(root / "b.png")
    noise.save(root / "c.jpg", quality=20)
    ImageEnhance.Brightness(noise).enhance(1.2).save(root / "d.png")
    noise.crop((5, 4, 238, 236)).save(root / "e.png")
    for number in range(20):
        other = np.random.default_rng(100 + number).integers(0, 255, (12, 12, 3), dtype=np.uint8)
        Image.fromarray(other).resize((240, 240)).save(root / f"other-{number:02}.png")
    gallery = Gallery.open(tmp_path / "g", PixelExtractor())
    gallery.add([root, photos])
    plain = gallery.search(like=query, k=8)
    assert [hit.similar for hit in plain] == [()] * 8
    grouped = gallery.search(like=query, k=8, group=True)
    assert [hit.rank for hit in grouped] == list(range(1, 9))
    assert {Path(p).name for p in (grouped[0].path, *grouped[0].similar)} == {
        *("a.png", "b.png", "c.jpg", "d.png", "e.png")
    }
    rest = [Path(p).name for hit in grouped[1:] for p in (hit.path, *hit.similar)]
    assert not any(hit.similar for hit in grouped[1:] if "other" in hit.path) and "b.png" not in rest


def test_only_identical_copies_are_one_hit_where_copies_are_not_wanted(tmp_path: Path) -> None:
    root = tmp_path / "photos"
    first = photo(root / "a.png", 1, (240, 160))
    for name in ("b.png", "trip/c.png"):
        (root / "trip").mkdir(exist_ok=True)
        shutil.copy(first, root / name)
    Image.open(first).resize((120, 80)).save(root / "smaller.png")
    for number in range(6):
        photo(root / f"other-{number}.png", 10 + number, (240, 160))
    gallery = Gallery.open(tmp_path / "g", PixelExtractor())
    gallery.add(root, batch_size=2)
    every = gallery.answer(Query(like=Image.open(first), k=20))
    assert len(every) == 10 and not any(hit.similar for hit in every)
    found = gallery.answer(Query(like=Image.open(first), k=20, copies=False))
    assert [hit.rank for hit in found] == list(range(1, 9))
    copies = {Path(path).name for hit in found for path in (hit.path, *hit.similar) if hit.similar}
    assert copies == {"a.png", "b.png", "c.png"}
    assert [hit.path for hit in found if not hit.similar] == [
        hit.path for hit in every if Path(hit.path).name not in copies
    ]
    few = gallery.answer(Query(like=Image.open(first), k=3, copies=False))
    assert [hit.path for hit in few] == [hit.path for hit in found[:3]]  # an answer goes on where another ended


def test_a_gallery_beyond_exact_search_answers_alike(
    gallery: Gallery, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nearest, "EXACT_ROWS", 10)
    large = Gallery.open(tmp_path / "large", ColourReader())
    large.add(photos / "disc")
    store = large._store
    assert store is not None and {column for i in store._table.list_indices() for column in i.columns} == {
        *("vector", "joint")
    }
    large.add(photos / "bar")
    loaded = []
    monkeypatch.setattr(GalleryStore, "load", lambda self: loaded.append(self))
    for asked in ({"text": "red"}, {"like": photos / "bar" / "red-00.png"}, {"category": "bar", "text": "blue"}):
        sketch = None if "like" in asked else photos / "disc" / "green-01.png"
        near, exact = (one.search(sketch, k=7, **asked) for one in (large, gallery))
        assert [hit.path for hit in near] == [hit.path for hit in exact]
        assert [hit.score for hit in near] == pytest.approx([hit.score for hit in exact], abs=1e-4)
    assert large.categories == ["bar", "disc"] and not loaded


def test_what_cannot_be_looked_for_is_said_in_one_line(gallery: Gallery, photos: Path) -> None:
    query = photos / "bar" / "red-00.png"
    with pytest.raises(GalleryError, match="nothing to look for; give a sketch, a text or a photo"):
        gallery.search()
    with pytest.raises(GalleryError, match="k must be at least 1, not 0"):
        gallery.search(query, k=0)
    with pytest.raises(GalleryError, match=r"min_score must be between 0 and 1, not 1\.5"):
        gallery.search(query, min_score=1.5)
    with pytest.raises(ValueError, match="the text is empty"):
        gallery.search(query, text="  ")


def test_right_finds_raise_similar_photos_and_wrong_ones_are_left_out(gallery: Gallery, photos: Path) -> None:
    sketch = read_sketches(photos / "disc" / "green-01.png")
    plain = gallery.answer(Query(sketch, k=30, also={}))
    right, wrong = str(photos / "bar" / "red-00.png"), plain[1].path
    told = gallery.answer(Query(sketch, k=30, also={}, right=[right], wrong=[wrong]))
    bars = [[hit.rank for hit in hits if hit.category == "bar"] for hits in (plain, told)]
    assert sum(bars[1]) < sum(bars[0]) and told[0].path == right
    assert {hit.path for hit in plain} - {hit.path for hit in told} == {wrong}
    only_wrong = gallery.answer(Query(sketch, k=30, also={}, wrong=[wrong]))
    assert [hit.path for hit in only_wrong] == [hit.path for hit in plain if hit.path != wrong]
    by_words = gallery.answer(Query(text="red", k=3, right=[right]))
    assert by_words[0].path == right
    with pytest.raises(GalleryError, match=r"nowhere\.png is not in the gallery"):
        gallery.answer(Query(sketch, right=["nowhere.png"]))


@pytest.mark.slow
def test_mini_tells_copies_of_photos_from_other_photos(tmp_path: Path) -> None:
    """Nine in ten copies are folded into their photo, and no other photo of the same category."""
    from sketchfusion.world import World

    world, root = World(), tmp_path / "photos"
    root.mkdir()
    for category in world.categories[::6]:
        for instance in range(3):
            shown = Image.fromarray(world.photo(category, instance).photo)
            stem = f"{category}-{instance}"
            shown.save(root / f"{stem} whole.png")
            shown.resize((64, 64)).save(root / f"{stem} half.png")
            shown.save(root / f"{stem} recompressed.jpg", quality=15)
            ImageEnhance.Brightness(shown).enhance(1.15).save(root / f"{stem} bright.png")
            shown.crop((4, 2, 127, 127)).save(root / f"{stem} cropped.png")
    gallery = Gallery.open(tmp_path / "g", "mini")
    gallery.add(root)
    found = wrong = 0
    wholes = sorted(root.glob("* whole.png"))
    for whole in wholes:
        stem = whole.name.removesuffix("whole.png")
        hits = gallery.search(like=root / f"{stem}half.png", k=5, group=True)
        of_this = [hit for hit in hits if Path(hit.path).name.startswith(stem)]
        found += max(1 + len(hit.similar) for hit in of_this)
        wrong += sum(not Path(path).name.startswith(stem) for hit in of_this for path in hit.similar)
    assert wrong == 0
    assert found >= 0.9 * 4 * len(wholes)


def test_a_gallery_of_one_photo_has_nothing_like_it(tmp_path: Path, photos: Path) -> None:
    only = photos / "bar" / "red-00.png"
    gallery = Gallery.open(str(tmp_path / "g"), PixelExtractor())
    gallery.add([only])
    assert gallery.search(like=only) == []
    assert [hit.confidence for hit in gallery.search(like=photos / "disc" / "red-06.png")] == [0.5]
