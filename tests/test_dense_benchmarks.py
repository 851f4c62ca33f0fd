"""Correspondence and segmentation measured: against plain counts, on Sketch World and on folders."""

from __future__ import annotations

import csv
import json
import weakref
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from fixtures.pixels import PixelExtractor
from sketchfusion.featuremap import FeatureMap
from sketchfusion.lab import datasets
from sketchfusion.lab.datasets.base import DatasetError, MaskedScene, Part, PointPair, held_out
from sketchfusion.lab.datasets.world import SketchWorld
from sketchfusion.lab.evaluation import calibrate
from sketchfusion.lab.evaluation.calibrate import LEVELS
from sketchfusion.lab.evaluation.correspondence import benchmark_correspondence
from sketchfusion.lab.evaluation.recognition import fit_ridge
from sketchfusion.lab.evaluation.segmentation import benchmark_segmentation, centred_box, presence_figures
from sketchfusion.tasks import inputs
from sketchfusion.tasks.correspondence import POSE_POINTS, match_aligned, match_maps, sample_strokes
from sketchfusion.tasks.inputs import read_sketch
from sketchfusion.world import World, export
from test_cli import refused, sketchfusion

PARTS: tuple[Part, ...] = ("all", "tuning", "measured")


def test_pairs_of_the_world_have_the_keypoints_that_both_show() -> None:
    found = [*SketchWorld().draw_pairs(count=1)]
    assert {pair.category for pair in found} <= set(World(split="unseen").categories) and len(found) > 15
    pair = World().pair(found[0].category, 0, 0)
    both = [n for n, p in pair.sketch_keypoints.items() if p.visible and pair.photo_keypoints[n].visible]
    assert found[0].photo_points.tolist() == [[pair.photo_keypoints[n].x, pair.photo_keypoints[n].y] for n in both]
    assert found[0].sketch_points.shape == (len(both), 2)


def test_pck_is_counted_over_both_directions() -> None:
    model, pairs = PixelExtractor(), [*islice(SketchWorld().draw_pairs(count=1), 4)]
    result = benchmark_correspondence(model, pairs)
    totals: dict[str, list[float]] = {f"{share}{way}": [] for share in ("0.05", "0.10") for way in ("", "/pointwise")}
    still: list[float] = []
    for pair in pairs:
        sketch = model.extract([read_sketch(pair.sketch)], "sketch")[0]
        photo = model.extract([pair.photo], "photo")[0]
        strokes = sample_strokes(read_sketch(pair.sketch), POSE_POINTS)
        for source, a, b, start, end in (
            ("sketch", sketch, photo, pair.sketch_points, pair.photo_points),
            ("photo", photo, sketch, pair.photo_points, pair.sketch_points),
        ):
            asked = torch.from_numpy(start)
            for way, found in (
                ("", match_aligned(sketch, photo, strokes, asked, source).positions.numpy()),
                ("/pointwise", match_maps(a, b, asked).positions.numpy()),
            ):
                errors = np.linalg.norm(found - end, axis=1) / 128
                for share in ("0.05", "0.10"):
                    totals[share + way].append(float(np.mean(errors <= float(share))))
            still.append(float(np.mean(np.linalg.norm(start - end, axis=1) / 128 <= 0.1)))
    assert totals["0.10"] != totals["0.10/pointwise"]
    for name, values in totals.items():
        assert result.metrics[f"PCK@{name}"].mean == pytest.approx(np.mean(values))
    assert result.metrics["PCK@0.10 photo to sketch"].mean == pytest.approx(np.mean(totals["0.10"][1::2]))
    assert result.trivial["the same place"]["PCK@0.10"] == pytest.approx(np.mean(still))
    assert "the same place: PCK@0.05" in result.to_markdown("correspondence", "world")
    with pytest.raises(ValueError, match="no pairs"):
        benchmark_correspondence(model, [])


def test_maps_come_in_batches_in_order_and_a_repeated_picture_is_seen_once(monkeypatch: pytest.MonkeyPatch) -> None:
    model, seen, real = PixelExtractor(), list[int](), PixelExtractor.extract
    monkeypatch.setattr(inputs, "BATCH", 3)
    monkeypatch.setattr(
        model, "extract", lambda of, *more, **named: seen.append(len(of)) or real(model, of, *more, **named)
    )
    pictures = [square(x, x) for x in (0, 8, 16, 24)]
    asked = [pictures[n] for n in (0, 0, 1, 1, 2, 2, 3)]
    found = [*inputs.extract_maps(model, asked, "photo", "segmentation")]
    assert seen == [2, 2, 1]
    for picture, one in zip(asked, found, strict=True):
        assert torch.equal(one.data, model.extract([picture], "photo")[0].data)


def square(x: int, y: int, side: int = 64) -> np.ndarray:
    picture = np.full((side, side, 3), 255, np.uint8)
    picture[y : y + 20, x : x + 20] = (30, 30, 30)
    return picture


def test_masks_are_scored_beside_trivial_ones() -> None:
    mask = np.zeros((64, 64), bool)
    mask[20:40, 20:40] = True
    scene = MaskedScene("square", square(20, 20), lambda: mask, square(24, 24), square(2, 2))
    result = benchmark_segmentation(PixelExtractor(), [scene, scene])
    summary = result.to_json()
    assert summary["trivial"]["everything"]["mIoU"] == pytest.approx(400 / 4096)
    box = np.zeros((64, 64), bool)
    box[16:48, 16:48] = True
    assert (centred_box((64, 64), 0.5) == box).all()
    assert summary["trivial"]["a centred box of 0.5 of the sides"]["mIoU"] == pytest.approx(400 / 1024)
    assert summary["mIoU"] > 0.3 and summary["photos"] == 2
    assert set(result.rows) == {"square"}
    with pytest.raises(ValueError, match="no photos with masks"):
        benchmark_segmentation(PixelExtractor(), [])


def test_presence_figures_count_right_and_wrong_sketches() -> None:
    low, high = 0.3, 0.5
    found = presence_figures([(high, low), (low, high), (high, high), (high, high - 0.05)], 0.4)
    assert found["right above wrong"].mean == pytest.approx((1 + 0 + 0.5 + 1) / 4)
    assert found["kept when there"].mean == 0.75
    assert found["empty when not there"].mean == 0.25


@pytest.mark.usefixtures("few_categories")
def test_scenes_of_the_world_ask_for_what_is_there_and_for_what_is_not() -> None:
    world, found = World(split="unseen"), [*SketchWorld().draw_scenes(count=2)]
    assert len(found) == 2 * len(world.categories)
    first = found[1]
    assert (first.mask() == world.photo(first.category, 1).mask).all()
    assert not any(np.array_equal(np.asarray(one.sketch), np.asarray(one.other)) for one in found)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two photos, one of which shows two things, and a root of sketches with nothing to draw a "ghost" from."""
    root = tmp_path / "masked"
    rows = [
        ("1.png", "cat", "cat/1.png"),
        ("1.png", "tree", "tree/1.png"),
        ("2.png", "ghost", "cat/1.png"),
        ("2.png", "car", "cat/1.png"),
    ]
    for place in {name for photo, _, mask in rows for name in (f"photo/{photo}", f"mask/{mask}")}:
        (root / place).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(square(20, 20)).save(root / place)
    with (root / "index.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(("photo", "category", "mask"))
        table.writerows((f"photo/{photo}", category, f"mask/{mask}") for photo, category, mask in rows)
    export(tmp_path / "drawn", 0, ["cat", "tree", "car"], "all", 12, 64)
    return tmp_path


def test_scenes_of_a_folder_take_sketches_that_no_training_draws(folder: Path) -> None:
    found = [*datasets.open(folder / "masked").scenes([datasets.open(folder / "drawn")])]
    assert [scene.category for scene in found] == ["cat", "tree", "car"]  # nobody drew a ghost
    cat = Path(str(found[0].sketch))
    assert cat.parent.name == "cat" and held_out(cat.stem.rpartition("-")[0])
    assert Path(str(found[0].other)).parent.name == "car"  # the tree is there
    assert [
        (s.sketch, s.other) for s in datasets.open(folder / "masked").scenes([datasets.open(folder / "drawn")])
    ] == [(s.sketch, s.other) for s in found]
    with pytest.raises(DatasetError, match="--sketches"):
        next(iter(datasets.open(folder / "masked").scenes()))


def test_a_threshold_is_chosen_from_other_scenes_than_are_measured_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [f"{number}.png" for number in range(40)]
    for place in ("photo", "mask/cat"):
        (tmp_path / "masked" / place).mkdir(parents=True)
        for name in names:
            Image.fromarray(square(20, 20)).save(tmp_path / "masked" / place / name)
    with (tmp_path / "masked" / "index.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerows([("photo", "category", "mask"), *((f"photo/{n}", "cat", f"mask/cat/{n}") for n in names)])
        table.writerow((f"photo/{names[0]}", "car", f"mask/cat/{names[0]}"))
    export(tmp_path / "drawn", 0, ["cat", "car"], "all", 12, 64)
    with pytest.raises(DatasetError, match=r"0\.png: no sketches of anything that it does not show"):
        [*datasets.open(tmp_path / "masked").scenes([datasets.open(tmp_path / "drawn")])]
    export(tmp_path / "drawn", 0, ["tree"], "all", 12, 64)  # what no mask shows will do
    masked, drawn = datasets.open(tmp_path / "masked"), [datasets.open(tmp_path / "drawn")]
    everything, chosen, measured = ([(s.photo, s.category) for s in masked.scenes(drawn, part)] for part in PARTS)
    assert sorted(chosen + measured) == sorted(everything) and not set(chosen) & set(measured)
    assert {held_out(Path(str(photo)).stem) for photo, _ in measured} == {True} and len(chosen) > len(measured)
    seen, unseen = (World(split=split).categories for split in ("seen", "unseen"))
    # Drawing all that is measured takes long, and any picture will do.
    shot, sketch = World().photo(unseen[0], 0), World().sketch(unseen[0], 0)
    monkeypatch.setattr(World, "photo", lambda *_: shot)
    monkeypatch.setattr(World, "sketch", lambda *_: sketch)
    world = {part: {scene.category for scene in SketchWorld().scenes((), part)} for part in PARTS}
    assert world["all"] == world["measured"] == set(unseen) and world["tuning"] == set(seen)


def test_the_threshold_with_the_best_masks_is_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    mask = np.zeros((64, 64), bool)
    mask[20:40, 20:40] = True
    uneven = np.random.default_rng(0).integers(0, 40, (64, 64, 3))  # so that no pixel's heat is just at a level
    photo = (0.8 * square(20, 20) + uneven).astype(np.uint8)
    scene = MaskedScene("square", photo, lambda: mask, square(24, 24), square(2, 2))
    heat = np.where(mask, 0.14, 0.05).astype(np.float32)  # a model that is never sure of anything
    monkeypatch.setattr(calibrate, "heat_map", lambda *maps: heat)
    level = calibrate.choose_level(PixelExtractor(), [scene, scene])
    assert 0.05 <= level < 0.14
    with pytest.raises(ValueError, match="no photos with masks to choose a threshold from"):
        calibrate.choose_level(PixelExtractor(), [])
    monkeypatch.undo()
    monkeypatch.setattr("sketchfusion.tasks.segmentation.can_refine", lambda: False)
    cut = [benchmark_segmentation(PixelExtractor(), [scene], level=at).metrics["mIoU"].mean for at in LEVELS]
    best = calibrate.choose_level(PixelExtractor(), [scene])
    assert benchmark_segmentation(PixelExtractor(), [scene], level=best).metrics["mIoU"].mean == max(cut)


def test_the_command_measures_a_folder(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sketchfusion.models.load", lambda name: PixelExtractor(name))
    options = ("--data", folder / "masked", "--sketches", folder / "drawn", "--out", folder / "out", "--json")
    done = sketchfusion("evaluate", "segmentation", *options)
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert {"mIoU", "mIoU/pooled", "pixel accuracy", "empty when not there"} <= set(answer)
    report = (folder / "out" / "segmentation-masked-mini.md").read_text()
    assert "3 photos" in report and "Training draws four in five of these photos; --held-out measures" in report
    (folder / "masked/photo/2.png").rename(folder / "masked/photo/8.png")
    index = folder / "masked/index.csv"
    index.write_text(index.read_text().replace("photo/2.png", "photo/8.png"))
    done = sketchfusion("evaluate", "segmentation", *options, "--held-out")
    assert done.returncode == 0, done.stderr
    report = (folder / "out" / "segmentation-masked-held-out-mini.md").read_text()
    assert "1 photos" in report and "Training draws" not in report  # the others may be trained on
    assert "No such option: --held-out" in refused("evaluate", "retrieval", *options, "--held-out")


def test_constants_are_chosen_where_the_figures_are_best() -> None:
    mask = np.zeros((64, 64), bool)
    mask[20:40, 20:40] = True
    scene = MaskedScene("square", square(20, 20), lambda: mask, square(24, 24), square(2, 2))
    chosen = calibrate.choose_segmentation(PixelExtractor(), [scene])
    by_reach = {float(at): value for at, value in chosen["mIoU by reach"].items()}
    assert by_reach[chosen["reach"]] == max(by_reach.values())
    assert set(chosen["threshold"]) == {"at", "temperature", "least"}
    points = np.array([[20.0, 20.0], [40.0, 40.0]])
    pair = PointPair("square", square(20, 20), square(24, 24), points, points + 4)
    matched = calibrate.choose_correspondence(PixelExtractor(), [pair])
    reached = matched["PCK@0.10 by temperature, window"]
    assert reached[f"{matched['TEMPERATURE']}, {matched['WINDOW']}"] == max(reached.values())


def test_tuning_holds_the_maps_of_a_pair_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[weakref.ref[FeatureMap]] = []
    alive: list[int] = []
    centred = FeatureMap.centred

    def counted(one: FeatureMap) -> FeatureMap:
        found = centred(one)
        made.append(weakref.ref(found))
        alive.append(sum(of() is not None for of in made))
        return found

    monkeypatch.setattr(FeatureMap, "centred", counted)
    points = np.array([[20.0, 20.0], [40.0, 40.0]])
    pairs = [PointPair("square", square(20, 20), square(24, 24), points, points + 4)] * 20
    calibrate.choose_correspondence(PixelExtractor(), pairs)
    assert len(made) == 40 and max(alive) <= 4


def test_ridge_is_the_least_squares_of_its_equations() -> None:
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(60) % 3
    features = (
        torch.randn(60, 5, generator=generator, dtype=torch.float64) + 3 * torch.eye(5, dtype=torch.float64)[labels]
    )
    scores = fit_ridge(features, labels, 3, 0.1)(features)
    ready = (features - features.mean(0)) / features.std(0)
    ready = torch.cat([ready, torch.ones(60, 1, dtype=torch.float64)], dim=1)
    stacked = torch.cat([ready, np.sqrt(0.1 * 60) * torch.eye(6, dtype=torch.float64)])
    targets = torch.cat([torch.nn.functional.one_hot(labels, 3).double(), torch.zeros(6, 3, dtype=torch.float64)])
    assert torch.allclose(scores, ready @ torch.linalg.lstsq(stacked, targets).solution)
    assert (scores.argmax(dim=1) == labels).double().mean() > 0.9
