"""PSC6K: all four tables, keypoints up to the edge of the picture, and the split of the released code."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path

import pytest
from PIL import Image, ImageDraw

from fixtures.photos import blank
from fixtures.pixels import PixelExtractor
from sketchfusion.features import SketchFusion
from sketchfusion.lab import datasets
from sketchfusion.lab.datasets.base import DatasetError
from sketchfusion.lab.datasets.psc6k import PSC6K, released_split
from sketchfusion.lab.evaluation.correspondence import benchmark_correspondence, point_pairs
from sketchfusion.lab.training.correspondence import annotated_points
from sketchfusion.lab.training.sources import Sources, collect
from sketchfusion.lab.training.train import train_task

VIEW = "tx_000100000000"
XA, YA = "256;0;12.5;1;2;3;4;5", "0;256;200;1;2;3;4;5"
XB, YB = "10;20;30;40;50;60;70;80", "81;82;83;84;85;86;87;88"


def table(path: Path, columns: str, rows: list[list[str]]) -> None:
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([columns.split(","), *rows])


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Two classes of ten test photos with five sketches each, in one folder with the tables."""
    pairs, files = [], {suffix: blank(suffix, (512, 256)) for suffix in (".jpg", ".png")}
    for number, category in enumerate(("airplane", "zebra"), 1):
        for photo in range(10):
            # written out of order, as a table need not be sorted
            shown = f"photo/{VIEW}/{category}/n0_{(photo * 7) % 10}.jpg"
            for hand in range(1, 6):
                drawn = f"sketch/{VIEW}/{category}/{Path(shown).stem}-{hand}.png"
                pairs.append((shown, drawn, str(number)))
                for name in (shown, drawn):
                    path = tmp_path / "256x256" / name
                    path.parent.mkdir(parents=True, exist_ok=True)
                    path.write_bytes(files[path.suffix])
    table(tmp_path / "test_pairs_ps.csv", "photo,sketch,class,XA,YA,XB,YB", [[*pair, XA, YA, XB, YB] for pair in pairs])
    return tmp_path


def test_annotated_pairs_are_read(root: Path) -> None:
    pairs = PSC6K(root).test_pairs()
    pair = pairs[0]
    assert len(pairs) == 100
    assert (pair.source.kind, pair.target.kind, pair.source.label) == ("photo", "sketch", "airplane")
    assert pair.source.photo_id == pair.target.photo_id == "n0_0"
    assert pair.source_points.shape == pair.target_points.shape == (8, 2)
    assert pair.target_points[0].tolist() == [10, 81]  # x, then y


def test_training_leaves_out_the_photos_that_are_measured_and_their_sketches(root: Path, tmp_path: Path) -> None:
    for number in range(30):  # of which ten are annotated, and the last four of those measured
        for name in (f"photo/tx_000000000000/zebra/n0_{number}.jpg", f"sketch/tx_000000000000/zebra/n0_{number}-1.png"):
            (root / "256x256" / name).parent.mkdir(parents=True, exist_ok=True)
            Image.new("L", (8, 8)).save(root / "256x256" / name)
    data = [datasets.open(root)]
    collected = collect(data, "photo"), collect(data, "sketch"), collect(data, "sketch", kept_out=True)
    others = {f"n0_{number}" for number in range(30) if not 6 <= number < 10}
    photos, *sketches = ({Path(picture.path).stem.partition("-")[0] for picture in found} for found in collected)
    assert photos == sketches[0] and photos | sketches[1] == others
    again = tmp_path / "again"  # the same pictures in another root, without the tables
    shutil.copytree(root / "256x256", again / "256x256")
    of_both = collect([*data, datasets.open(again)], "sketch")
    assert len(of_both) == 2 * len(collected[1])
    for path in root.glob("*.csv"):
        path.unlink()
    assert len(collect([datasets.open(root)], "photo")) > len(photos)


def test_keypoints_may_lie_on_the_far_edge(root: Path) -> None:
    points = PSC6K(root).test_pairs()[0].source_points
    assert points[:3].tolist() == [[256, 0], [0, 256], [12.5, 200]]


def test_tables_may_lie_apart_from_the_pictures(root: Path, tmp_path: Path) -> None:
    apart = tmp_path / "apart" / "PSC6K"
    apart.mkdir(parents=True)
    for path in root.glob("*.csv"):
        path.rename(apart / path.name)
    for sketchy in (root, root / "256x256"):
        assert len(PSC6K(apart.parent, sketchy).test_pairs()) == 100
    with pytest.raises(DatasetError, match=r"test_pairs_ps\.csv:2: photo/.* is not under .*; give the root of Sketchy"):
        PSC6K(apart).test_pairs()


def test_the_released_split_parts_photos_not_pairs(root: Path) -> None:
    pairs = PSC6K(root).test_pairs()
    train, evaluation = released_split(pairs)
    assert (len(train), len(evaluation)) == (60, 40)
    for category in ("airplane", "zebra"):
        trained, measured = (
            {p.source.photo_id for p in of if p.source.label == category} for of in (train, evaluation)
        )
        assert trained == {f"n0_{n}" for n in range(6)} and measured == {f"n0_{n}" for n in range(6, 10)}


@pytest.mark.parametrize(
    ("row", "why"),
    [
        ("P,S,1,257;1,1;1,1;1,1;1", "outside 0 to 256"),
        ("P,S,1,-1;1,1;1,1;1,1;1", "outside 0 to 256"),
        ("P,S,1,nan;1,1;1,1;1,1;1", "outside 0 to 256"),
        ("P,S,1,1;2;3,1;1,1;1,1;1", "not as many x as y"),
        ("P,S,1,a;1,1;1,1;1,1;1", "not as many x as y"),
        ("P,S,1,1;1,1;1,1,1", "2 keypoints in one picture and 1 in the other"),
        ("P,S,1,1;1", "cut short"),
        ("../../etc/passwd,S,1,1,1,1,1", "is not under"),
    ],
)
def test_rows_that_are_wrong_are_named(root: Path, row: str, why: str) -> None:
    shown, drawn = f"photo/{VIEW}/zebra/n0_1.jpg", f"sketch/{VIEW}/zebra/n0_1-1.png"
    text = "photo,sketch,class,XA,YA,XB,YB\n" + row.replace("P", shown).replace("S", drawn) + "\n"
    (root / "test_pairs_ps.csv").write_text(text)
    with pytest.raises(DatasetError, match=f"test_pairs_ps.csv:2: .*{why}"):
        PSC6K(root).test_pairs()


def test_missing_and_foreign_tables_are_refused(root: Path) -> None:
    (root / "test_pairs_ps.csv").write_text("photo,sketch,class\n")
    with pytest.raises(DatasetError, match="no column 'XA'"):
        PSC6K(root).test_pairs()
    (root / "test_pairs_ps.csv").unlink()
    with pytest.raises(DatasetError, match=r"test_pairs_ps\.csv: cannot be read .*; PSC6K has train_pairs_ps\.csv"):
        PSC6K(root).test_pairs()


def test_correspondence_is_measured_on_the_photos_of_the_second_part(root: Path) -> None:
    pairs = [*point_pairs(datasets.open(root))]
    assert len(pairs) == 2 * 4 * 5
    # the tables are of 256 x 256 pixels, these pictures are twice as wide
    assert pairs[0].photo_points[0].tolist() == [512, 0] and pairs[0].sketch_points[0].tolist() == [20, 81]
    for path in {Path(str(of)) for pair in pairs[:2] for of in (pair.photo, pair.sketch)}:
        picture = Image.new("RGB", (256, 256), "white")
        picture.paste((0, 0, 0), (60, 60, 200, 100))
        picture.save(path)
    reads: list[str] = []

    class Counting(PixelExtractor):
        def maps(self, views):  # type: ignore[no-untyped-def]
            reads.extend(view.kind for view in views)
            return super().maps(views)

    measured = benchmark_correspondence(Counting(), pairs[:2])
    assert measured.counts == {"pairs": 2, "points": 16} and 0 <= measured.metrics["PCK@0.10"].mean <= 1
    assert sorted(reads) == ["photo", "sketch", "sketch"], "a photo with several sketches is looked at once"
    rows = (root / "test_pairs_ps.csv").read_text().splitlines()
    (root / "test_pairs_ps.csv").write_text("\n".join(rows[:2]))
    with pytest.raises(DatasetError, match="60 % of each class's photos are left out, which leaves none"):
        [*point_pairs(datasets.open(root))]
    with pytest.raises(DatasetError, match="where keypoints are known"):
        point_pairs(datasets.open(root / "256x256" / "photo"))


def test_training_has_the_pairs_that_are_not_measured_with_their_points(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sketchfusion.lab.training.correspondence.held_out", lambda photo: photo == "n0_2")
    sources = Sources.of([datasets.open(root)], tmp_path / "cache", stored=64)
    [trained], [validated] = annotated_points(sources), annotated_points(sources, kept_out=True)
    released = released_split(PSC6K(root).test_pairs())[0]
    assert (len(trained.visible), len(validated.visible), len(released)) == (50, 10, 60)
    assert trained.visible[:, :8].all() and not trained.visible[:, 8:].any()
    # a picture of 512 x 256 fills the middle half of its square from side to side
    assert trained.photo_points[0, :2].tolist() == [[1.0, 0.25], [0.0, 0.75]]
    assert trained.sketch_points[0, 0].tolist() == pytest.approx([10 / 256, 0.25 + 81 / 512])
    shown = {Path(names[1]).stem for bank in (trained.photos, validated.photos) for names in bank.names}
    assert shown == {pair.source.path.stem for pair in released} and len(shown) == 6
    drawn = zip(trained.sketches.names, trained.photos.names, strict=True)
    assert all(Path(sketch[1]).stem.startswith(f"{Path(photo[1]).stem}-") for sketch, photo in drawn)
    monkeypatch.setattr("sketchfusion.lab.training.correspondence.is_unseen", lambda name: name == "zebra")
    [seen] = annotated_points(sources, unseen=False)
    assert {names[0] for names in seen.photos.names} == {"airplane"}


@pytest.mark.parametrize("apart", [False, True])
def test_correspondence_is_trained_on_psc6k(root: Path, apart: bool, model_folder: Path, tmp_path: Path) -> None:
    """With its files beside the pictures, and in a folder of their own beside a root of Sketchy."""
    for path in (root / "256x256" / "sketch").rglob("*.png"):
        page = Image.new("L", (256, 256), 255)
        ImageDraw.Draw(page).line([(20, 30), (200, 220)], width=5)
        page.save(path)
    data = [datasets.open(root)]
    if apart:
        for path in root.glob("*.csv"):
            (root / "tables").mkdir(exist_ok=True)
            path.rename(root / "tables" / path.name)
        for view in (root / "256x256").glob("*/*"):  # where Sketchy is recognised
            (view.parent / "tx_000000000000").symlink_to(view)
        data = [datasets.open(root / "tables"), datasets.open(root)]
        assert [of.layout for of in data] == ["PSC6K", "Sketchy"]
    few = {"steps": "2", "warmup": "1", "batch": "4", "warps": "0", "drawn": "0", "aligned": "0"}
    train_task("correspondence", data, tmp_path / "out", str(model_folder), settings=few)
    assert SketchFusion.from_pretrained(tmp_path / "out", task="correspondence").config.task == "correspondence"
    with pytest.raises(ValueError, match="PSC6K is no data set of named pictures"):
        train_task("retrieval", [PSC6K(root)], tmp_path / "other", str(model_folder), settings={"steps": "1"})
