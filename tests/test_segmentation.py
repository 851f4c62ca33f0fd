"""Segmentation: on maps whose answer is known, in training, with the CRF, and on the command line."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw, ImageFilter
from torch import Tensor
from torch.nn import functional as F

from fixtures.pixels import PixelExtractor
from sketchfusion.errors import ImageError
from sketchfusion.featuremap import FeatureMap, Frame
from sketchfusion.lab.training.feature_cache import FeatureCache, Read
from sketchfusion.lab.training.labelled import BACKGROUND, OUTSIDE, THING
from sketchfusion.lab.training.objective import Maps
from sketchfusion.lab.training.recipes import SegmentationRecipe
from sketchfusion.lab.training.segmentation import MaskedFeatures
from sketchfusion.lab.training.segmentation import SegmentationObjective as Learned
from sketchfusion.saved import Heads, Threshold
from sketchfusion.tasks import segmentation
from sketchfusion.tasks.pictures import dilated
from sketchfusion.tasks.segmentation import (
    can_refine,
    crop_around,
    fill_enclosed,
    fit_threshold,
    heat_map,
    presence,
    refine_mask,
    segment,
    similarity,
    sketch_cosine,
    stroke_cells,
    with_closeup,
)
from test_cli import refused, sketchfusion

SQUARE = Frame(64, 64, 64, 1.0, 1.0, 0, 0)
TALL = Frame(30, 60, 64, 64 / 60, 64 / 60, 16, 0)  # 32 of 64 columns of the square

needs_crf = pytest.mark.skipif(not can_refine(), reason="pydensecrf2 is not installed; pip install sketchfusion[crf]")


def scene(thing: Tensor, ground: Tensor) -> Tensor:
    """A map (C, 16, 16) of a thing on the right half of a ground."""
    data = ground[:, None, None].repeat(1, 16, 16)
    data[:, 4:12, 8:14] = thing[:, None, None]
    return data


def test_heat_ignores_what_all_sketches_or_all_photos_share() -> None:
    thing, ground, paper = torch.eye(8)[:3]
    photo = FeatureMap(scene(thing, ground) + 5 * torch.eye(8)[6][:, None, None], SQUARE)
    sketch = FeatureMap(scene(thing, paper) + 5 * torch.eye(8)[7][:, None, None], SQUARE)
    ink = torch.zeros(16, 16, dtype=torch.bool)
    ink[4, 8:14] = ink[11, 8:14] = ink[4:12, 8] = ink[4:12, 13] = True
    heat = heat_map(sketch, photo, ink)
    assert heat.shape == (64, 64) and heat.dtype == np.float32
    assert heat[20:44, 36:52].min() > 0.8 and heat[:, :28].max() < 0.1


def test_heat_covers_the_photo_without_padding_at_any_size() -> None:
    thing, ground = torch.eye(8)[:2]
    photo, sketch = FeatureMap(scene(thing, ground), TALL), FeatureMap(scene(thing, ground), SQUARE)
    assert heat_map(sketch, photo, sketch.valid()).shape == (60, 30)
    assert sketch_cosine(sketch, photo, sketch.valid(), (10, 5)).shape == (10, 5)


def test_an_outline_is_filled_and_an_open_line_is_not() -> None:
    ring = torch.zeros(7, 7, dtype=torch.bool)
    ring[1, 1:6] = ring[5, 1:6] = ring[1:6, 1] = ring[1:6, 5] = True
    filled = torch.zeros(7, 7, dtype=torch.bool)
    filled[1:6, 1:6] = True
    assert torch.equal(fill_enclosed(ring), filled)
    line = torch.eye(7, dtype=torch.bool)
    assert torch.equal(fill_enclosed(line), line)


def test_cells_that_strokes_pass_through_are_marked() -> None:
    picture = torch.ones(3, 32, 64)
    picture[:, 16, 32:48] = 0
    marked = stroke_cells(picture, FeatureMap(torch.zeros(1, 8, 8), Frame(64, 32, 64, 1.0, 1.0, 0, 16)))
    assert marked.nonzero().tolist() == [[4, 4], [4, 5]]


def test_presence_rises_with_the_best_cell_and_with_clips_cosine() -> None:
    a, b = torch.eye(4)[:2]
    maps = [FeatureMap((a + w * b)[:, None, None].repeat(1, 2, 2), SQUARE) for w in (0.0, 0.5, 4.0)]
    scores = [presence(maps[0], other) for other in maps]
    assert 1 > scores[0] > scores[1] > scores[2] > 0
    half = replace(maps[2], data=torch.cat([maps[2].data[:, :, :1], maps[0].data[:, :, :1]], dim=2))
    assert presence(maps[0], half) == scores[0]
    asked, said = replace(maps[0], joint=a), [replace(maps[1], joint=joint) for joint in (3 * a, b, -a)]
    likenesses = [similarity(asked, photo) - similarity(maps[0], maps[1]) for photo in said]
    assert likenesses == pytest.approx([1, 0, -1])
    assert presence(asked, said[0]) > presence(asked, said[1]) == presence(maps[0], said[0])
    assert presence(maps[0], maps[2], Threshold(0.9, 1e-3)) < 1e-9


def test_clips_vectors_of_places_say_where_a_thing_is_and_whether_it_is_there() -> None:
    thing, ground, other = torch.eye(8)[:3]
    flat = FeatureMap(torch.ones(8, 16, 16), SQUARE)  # fused maps that tell nothing
    places = torch.zeros(8, 4, 4) + ground[:, None, None]
    places[:, 1:3, 2:4] = (thing + ground)[:, None, None]
    photo = replace(flat, local=places)
    sketch, wrong = (replace(flat, local=of[:, None, None].repeat(1, 3, 3)) for of in (thing, other))
    ink = torch.zeros(16, 16, dtype=torch.bool)
    ink[4:12, 4:12] = True
    cosine = sketch_cosine(sketch, photo, ink)
    assert cosine[24:40, 44:60].min() > 0.3 > 0 > cosine[:, :16].max()
    assert torch.equal(sketch_cosine(sketch, flat, ink), sketch_cosine(flat, flat, ink))  # both must have them
    assert similarity(sketch, photo) == pytest.approx(0.5**0.5, abs=1e-6) and similarity(wrong, photo) == 0


class Labelled(PixelExtractor):
    """Says of a picture's vector how much of it is dark, and how much is not."""

    joint_dim, labels, logit_scale = 2, (), 1.0

    def encode_text(self, prompts: Sequence[str]) -> Tensor:
        raise NotImplementedError

    def encode_image(self, images: Sequence[Tensor], kind: str = "photo") -> Tensor:
        dark = torch.stack([(image.mean(dim=0) < 0.5).float().mean() for image in images])
        return torch.stack([dark, 1 - dark], dim=1)


def test_clip_judges_a_small_object_in_a_crop_around_it() -> None:
    drawn, seen = torch.ones(3, 60, 60), torch.ones(3, 90, 60)
    drawn[:, 10:50, 10:50] = 0
    seen[:, 60:72, 30:42] = 0
    thing, ground, paper = torch.eye(3)
    data = ground[:, None, None].repeat(1, 30, 30)
    data[:, 20:24, 15:19] = thing[:, None, None]  # the photo lies in the middle 20 columns
    photo = FeatureMap(data, Frame(60, 90, 30, 1 / 3, 1 / 3, 5, 0), joint=torch.tensor([0.02, 0.98]))
    sketch = FeatureMap(scene(thing, paper), Frame(60, 60, 60, 1.0, 1.0, 0, 0), joint=torch.tensor([1.0, 0.0]))
    close = with_closeup(Labelled(), sketch, photo, drawn, seen)
    assert (
        close.joint is not None and close.joint[0] > 0.4 and similarity(sketch, close) > similarity(sketch, photo) + 0.3
    )
    assert torch.equal(close.data, photo.data)
    silent = replace(photo, joint=None)  # a model without CLIP
    assert with_closeup(PixelExtractor(), sketch, silent, drawn, seen) is silent


@pytest.mark.parametrize("shape", [(1, 1), (1, 400), (400, 1), (7, 300)])
def test_a_crop_of_a_photo_of_any_shape_is_not_empty(shape: tuple[int, int]) -> None:
    torch.manual_seed(0)
    part = crop_around(torch.rand(shape), torch.rand(3, *shape))
    assert part.numel() and part.shape[1] <= shape[0] and part.shape[2] <= shape[1]


def test_a_threshold_fitted_to_two_normal_distributions_is_calibrated() -> None:
    torch.manual_seed(0)
    there, not_there = 0.5 + 0.1 * torch.randn(20000), 0.2 + 0.1 * torch.randn(20000)
    found = fit_threshold(there, not_there)
    assert found.at == pytest.approx(0.35, abs=0.01)
    assert found.temperature == pytest.approx(0.1**2 / 0.3, rel=0.05)
    scores = torch.sigmoid((torch.cat([there, not_there]) - found.at) / found.temperature)
    near = (scores > 0.65) & (scores < 0.75)  # such a score is right seven times in ten
    assert near.nonzero().lt(len(there)).float().mean() == pytest.approx(0.7, abs=0.05)
    assert (scores[: len(there)] >= found.least).float().mean() == pytest.approx(0.8, abs=0.01)


def picture(shape: tuple[int, int, int, int] = (20, 10, 50, 50)) -> Image.Image:
    image = Image.new("RGB", (60, 80), "white")
    ImageDraw.Draw(image).rectangle(shape, fill="black")
    return image


class Certain(PixelExtractor):
    """Finds what is dark, and the photo as like the sketch as it is told."""

    def __init__(self, alike: float) -> None:
        super().__init__()
        self._alike = alike

    def maps(self, views):  # type: ignore[no-untyped-def]
        darkness = 1 - torch.stack([view.square.mean(dim=0) for view in views])
        dark = torch.nn.functional.adaptive_avg_pool2d(darkness[:, None], 16)
        kinds = [1.0 if view.kind == "sketch" else self._alike for view in views]
        kind = torch.tensor(kinds)[:, None, None, None].expand_as(dark)
        rest = (1 - kind**2).clamp(min=0).sqrt()
        return torch.cat([1e-3 * dark, 1e-3 * (1 - dark), kind, rest], dim=1)


def test_an_absent_object_gives_an_empty_mask_and_a_low_score() -> None:
    found = segment(Certain(1.0), picture(), picture(), refine=False)
    assert found.score > 0.8 and found.mask[30, 35] and not found.mask[70, 10]
    assert 0.2 < found.mask.mean() < 0.5
    missing = segment(Certain(-1.0), picture(), picture())
    assert missing.score < segmentation.UNTRAINED.least and not missing.mask.any() and not missing.refined
    forced = segment(Certain(-1.0), picture(), picture(), threshold=0.5, refine=False)
    assert (forced.mask == found.mask).all()


class Trained(PixelExtractor):
    """Tells dark from light, and has learned where the cosine of a match begins."""

    def maps(self, views):  # type: ignore[no-untyped-def]
        darkness = 1 - torch.stack([view.square.mean(dim=0) for view in views])
        dark = torch.nn.functional.adaptive_avg_pool2d(darkness[:, None], 16)
        light = torch.tensor([0.0 if view.kind == "sketch" else 1.0 for view in views])[:, None, None, None] * (
            1 - dark
        )
        return torch.cat([dark, light], dim=1)

    def heads_for(self, task: str) -> Heads:
        return Heads(threshold=Threshold(0.7, 0.1)) if task == "segmentation" else Heads()


def test_a_trained_threshold_decides_presence() -> None:
    found = segment(Trained(), picture(), picture(), refine=False)
    assert found.score == pytest.approx(1 / (1 + np.exp(-3)), abs=1e-3)  # a cosine of 1
    assert found.mask[30, 35] and not found.mask[70, 10] and 0.2 < found.mask.mean() < 0.5
    missing = segment(Trained(), picture(), Image.new("RGB", (60, 80), "white"))
    assert missing.score < 0.5 and not missing.mask.any()


class Photographed(PixelExtractor):
    """Sees three things by their grey, and little else."""

    def maps(self, views):  # type: ignore[no-untyped-def]
        grey = torch.stack([view.square.mean(dim=0) for view in views])
        return torch.stack([1 - grey, grey], dim=1)


def rows(features: np.ndarray) -> Read:
    """The features (N, C, h, w) of pictures, of which there is one view."""
    return lambda index, views: lambda: torch.from_numpy(features[list(index)]).float()


def test_training_fits_the_threshold_to_similarities_as_served() -> None:
    mask = np.full((3, 8, 8), BACKGROUND, np.uint8)
    mask[:, :, :2] = OUTSIDE
    tones = np.array([0, 128, 255], np.uint8)
    photos = tones[:, None, None, None].repeat(3, 1).repeat(16, 2).repeat(16, 3).copy()
    photos[:, :, :, :4] = 0  # beside the photo, like the first
    said = FeatureCache([rows(np.zeros((3, 1, 1, 1)))], [("cat",), ("car",), ("cup",)])
    data = MaskedFeatures(said, said, mask, ["cat", "car", "cup"], photos, photos[:, :1])
    objective = Learned(SegmentationRecipe(batch=4))
    assert objective.heads().threshold is None
    objective.calibrate(Photographed(), data, None)
    chosen = objective.heads().threshold
    assert chosen and 0.7 < chosen.at < 1
    photo = data.picture(2)
    assert photo.shape == (3, 16, 12) and photo.min() == 1
    alone = replace(data, photos=FeatureCache(said.features, [("cat",)] * 3), names=["cat"] * 3)
    crowded = replace(data, photos=FeatureCache(said.features, [("cat", "car"), ("car", "cat"), ("cup",)]))
    assert [crowded.others(place) for place in range(3)] == [["cup"], ["cup"], ["car", "cat"]]
    objective.calibrate(Photographed(), data, alone)
    assert objective.heads().threshold is None  # nothing is not there


# The sides of the drawing, of the photo's mask, and of what lies at its left, in cells: each may differ.
@pytest.mark.parametrize("drawing_side", [8, 16])
@pytest.mark.parametrize("beside", [0, 2])
@pytest.mark.parametrize(("drawn_like", "overlap"), [("thing", 1.0), ("background", 0.0)])
def test_training_uses_the_same_heat_as_serving(
    drawn_like: str, overlap: float, beside: int, drawing_side: int
) -> None:
    where = np.zeros((8, 8), bool)
    where[2:6, 2:6] = True
    of_thing, of_background, of_padding = np.eye(3)
    photo = np.where(where, of_thing[:, None, None], of_background[:, None, None])
    photo[:, :, :beside] = of_padding[:, None, None]
    inside, outside = (of_thing, of_background) if drawn_like == "thing" else (of_background, of_thing)
    sketch = np.where(where, inside[:, None, None], outside[:, None, None])
    outline = where.copy()
    outline[3:5, 3:5] = False
    mask = np.where(where, THING, BACKGROUND).astype(np.uint8)
    mask[:, :beside] = OUTSIDE
    scale = drawing_side // 8
    data = MaskedFeatures(
        FeatureCache([rows(photo[None])], [("cat",)]),
        FeatureCache([rows(sketch[None])], [("cat",)]),
        mask[None],
        ["cat"],
        [np.zeros((3, 8, 8), np.uint8)],
        [np.where(outline, 0, 255)[None].astype(np.uint8).repeat(scale, 1).repeat(scale, 2)],
    )
    objective = Learned(SegmentationRecipe(batch=4))
    drawn = objective.draw(data, torch.Generator())
    losses = objective.losses(lambda said, kind: Maps(said.features[0]), drawn)
    assert losses["overlap"] == pytest.approx(overlap)
    square, part = Frame(8, 8, 8, 1.0, 1.0, 0.0, 0.0), Frame(8 - beside, 8, 8, 1.0, 1.0, beside, 0.0)
    maps = (FeatureMap(torch.from_numpy(of).float(), frame) for of, frame in ((sketch, square), (photo, part)))
    served = heat_map(*maps, torch.from_numpy(outline))
    odds = torch.from_numpy(served).logit()
    truth = torch.from_numpy(where[:, beside:]).float()
    assert losses["mask"] == pytest.approx(F.binary_cross_entropy_with_logits(odds, truth).item(), rel=1e-3)


def test_a_higher_threshold_keeps_less() -> None:
    masks = [segment(Certain(1.0), picture(), picture(), t, refine=False).mask for t in (0.0, 0.3, 0.7, 1.0)]
    assert all((more | less == more).all() for more, less in pairwise(masks))
    assert masks[0].all() and not masks[-1].any()
    with pytest.raises(ValueError, match=r"threshold 1\.5 is not in \[0, 1\]"):
        segment(Certain(1.0), picture(), picture(), 1.5)
    with pytest.raises(ImageError, match="blank"):
        segment(Certain(1.0), Image.new("RGB", (40, 40), "white"), picture())


def test_without_pydensecrf_no_mask_is_refined(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(segmentation, "can_refine", lambda: False)
    assert not segment(Certain(1.0), picture(), picture()).refined


@needs_crf
def test_the_crf_moves_a_blurred_mask_to_the_edge_of_a_disc() -> None:
    rows, columns = np.mgrid[:240, :320]
    distance = np.hypot(rows - 120, columns - 150)
    disc = distance < 70
    noise = np.random.default_rng(0).normal(0, 0.02, (3, 240, 320))
    photo = torch.from_numpy((np.where(disc, 0.8, 0.25)[None] + noise).clip(0, 1)).float()
    heat = (1 / (1 + np.exp((np.hypot(rows - 110, columns - 160) - 80) / 12))).astype(np.float32)
    before = (heat > 0.5) & disc
    after = refine_mask(photo, heat)
    iou = (after & disc).sum() / (after | disc).sum()
    assert iou > 0.97 > 0.8 > before.sum() / ((heat > 0.5) | disc).sum()


@needs_crf
def test_the_crf_finds_the_edge_of_a_large_photo() -> None:
    columns = np.mgrid[:900, :1200][1]
    photo = torch.from_numpy(np.where(columns < 600, 0.2, 0.9)).float().repeat(3, 1, 1)
    heat = np.clip((700 - columns) / 1200 + 0.5, 0.02, 0.98).astype(np.float32)
    mask = refine_mask(photo, heat)
    assert mask.shape == (900, 1200)
    assert np.abs(mask.sum(axis=1) - 600).max() < 12


def test_the_command_writes_a_mask_of_the_photos_size(tmp_path: Path) -> None:
    picture().save(tmp_path / "sketch.png")
    picture().resize((90, 70)).save(tmp_path / "photo.png")
    sketch, photo, out, overlay = (tmp_path / f"{name}.png" for name in ("sketch", "photo", "mask", "overlay"))
    options = ("--out", out, "--overlay", overlay, "--threshold", "0.4", "--json")
    done = sketchfusion("segment", sketch, photo, *options)
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert answer["threshold"] == 0.4 and (answer["width"], answer["height"]) == (90, 70)
    with Image.open(out) as mask, Image.open(overlay) as shown:
        pixels = np.asarray(mask)
        assert mask.size == shown.size == (90, 70) and set(np.unique(pixels)) <= {0, 255}
    assert (pixels > 0).mean() == pytest.approx(answer["share"])
    assert "none.png: No such file" in refused("segment", tmp_path / "none.png", photo)


@pytest.mark.parametrize("radius", [1, 2, 5, 13, 50])
def test_a_mask_is_widened_as_by_the_largest_of_its_neighbours(radius: int) -> None:
    mask = np.random.default_rng(0).random((60, 45)) > 0.995
    wanted = np.asarray(Image.fromarray(mask.astype(np.uint8)).filter(ImageFilter.MaxFilter(2 * radius + 1)))
    assert np.array_equal(dilated(mask, radius), wanted.astype(bool))
