"""What the retrieval benchmarks are made of and how they score, from roots in every layout to the command line."""

from __future__ import annotations

import contextlib
import io
import json
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import top_k_accuracy_score

from fixtures.pixels import PixelExtractor
from sketchfusion.cli import SEVERAL, app
from sketchfusion.cli.terminal import repeat_options, run
from sketchfusion.lab import datasets
from sketchfusion.lab.datasets.base import DatasetError, held_out
from sketchfusion.lab.evaluation.fill import describe_files
from sketchfusion.lab.evaluation.metrics import target_ranks
from sketchfusion.lab.evaluation.retrieval import (
    InstanceId,
    instance_data,
    retrieval_data,
    score_instances,
    score_retrieval,
)
from sketchfusion.world import export
from test_layouts import drawings_at, picture, quickdraw_ext_at, segmentation_at, sketchy_at, tuberlin_at


def stems(pictures: object) -> list[tuple[str, object]]:
    return [(Path(str(source)).name, label) for source, label in pictures]  # type: ignore[attr-defined]


def test_the_usual_split_of_a_layout_is_measured_unless_another_is_asked_for(tmp_path: Path) -> None:
    root = str(sketchy_at(tmp_path))
    source = retrieval_data(datasets.open(root))
    assert stems(source.sketches()) == [("n02139199_1-1.png", "bat"), ("n02139199_2-1.png", "bat")]
    assert [name for name, _ in stems(source.photos())] == ["ext_1.jpg", "n02139199_1.jpg", "n02139199_2.jpg"]
    assert source.about == "1 of the 21 unseen classes of sketchy-21"
    assert len([*retrieval_data(datasets.open(root), duplicates=True).photos()]) == 5
    other = retrieval_data(datasets.open(root), "sketchy-25-sempcyc")
    assert {label for _, label in other.sketches()} == {"jack-o-lantern"}
    with pytest.raises(DatasetError, match="no split 'tuberlin-30-sake'; choose sketchy-21, sketchy-25-sake"):
        retrieval_data(datasets.open(root), "tuberlin-30-sake")
    with pytest.raises(DatasetError, match="none of the classes of sketchy-25-sake is here"):
        retrieval_data(datasets.open(root), "sketchy-25-sake")
    tuberlin = retrieval_data(datasets.open(tuberlin_at(tmp_path / "t")), "tuberlin-30-sake")
    assert tuberlin.about == "3 of the 30 unseen classes of tuberlin-30-sake"


def test_a_root_without_unseen_classes_is_measured_whole(tmp_path: Path) -> None:
    for kind, name in (("photo", "n1_1.jpg"), ("sketch", "n1_1-1.png")):
        picture(tmp_path / "256x256" / kind / "tx_000000000000" / "ant" / name)
    source = retrieval_data(datasets.open(tmp_path))
    assert source.about == "all 1 classes, as none of sketchy-21 is there" and len([*source.photos()]) == 1


def test_the_unseen_categories_of_an_exported_world_are_its_own(tmp_path: Path) -> None:
    from sketchfusion.world import SEEN, UNSEEN

    export(tmp_path, 0, [UNSEEN[0], SEEN[0]], instances=2, size=64)
    source = retrieval_data(datasets.open(tmp_path))
    assert {label for _, label in source.photos()} == {UNSEEN[0]} and "1 unseen categories" in source.about


def test_every_layout_with_both_sides_is_measured(tmp_path: Path) -> None:
    for make, count in ((sketchy_at, 2), (tuberlin_at, 3), (quickdraw_ext_at, 2)):
        source = retrieval_data(datasets.open(make(tmp_path / make.__name__)))
        assert len([*source.sketches()]) == count and {label for _, label in source.sketches()} == {
            label for _, label in source.photos()
        }


def test_data_that_cannot_be_measured_are_refused_in_one_line(tmp_path: Path) -> None:
    drawings = str(drawings_at(tmp_path / "drawings"))
    photos = str(segmentation_at(tmp_path / "photos"))
    with pytest.raises(DatasetError, match="a Quick, Draw! has no photos"):
        retrieval_data(datasets.open(drawings))
    with pytest.raises(DatasetError, match="has no sketches; give data with both, or sketches by --sketches"):
        retrieval_data(datasets.open(photos))
    with pytest.raises(DatasetError, match="no photo twice"):
        retrieval_data(datasets.open(tuberlin_at(tmp_path / "t")), duplicates=True)
    root = sketchy_at(tmp_path / "s", extended="other/more")
    for photo in (root / "256x256" / "photo" / "tx_000000000000" / "bat").iterdir():
        photo.unlink()
    with pytest.raises(DatasetError, match="no photos of the classes to measure on"):
        retrieval_data(datasets.open(root))
    picture(root / "256x256" / "sketch" / "tx_000000000000" / "cow" / "n1_1-1.png")
    picture(root / "256x256" / "photo" / "tx_000000000000" / "cow" / "n1_1.jpg")
    with pytest.raises(DatasetError, match="'bat' has sketches but no photos; add them or drop the class"):
        retrieval_data(datasets.open(root))
    with pytest.raises(DatasetError, match="does not say which photo a sketch is of"):
        instance_data(datasets.open(tmp_path / "t"))


def test_photos_without_sketches_are_searched_with_those_of_another_data_set(tmp_path: Path) -> None:
    root = tmp_path / "photos"
    for name in ("photo/1.jpg", "photo/2.jpg", "mask/1.png"):
        picture(root / name)
    rows = ["1.jpg,hot air balloon", "1.jpg,dog", "2.jpg,bat", "2.jpg,spoon"]
    (root / "index.csv").write_text("photo,category,mask\n" + "".join(f"photo/{row},mask/1.png\n" for row in rows))
    drawings = tmp_path / "drawings"
    drawings.mkdir()
    line = '{"recognized": true, "drawing": [[[0, 9], [0, 9]]]}\n'
    for category in ("hot-air_balloon", "bat", "rainbow"):
        (drawings / f"{category}.ndjson").write_text(line * 30)
    source = retrieval_data(datasets.open(root), sketches=[datasets.open(drawings)])
    assert [labels for _, labels in source.photos()] == [{"hot air balloon", "dog"}, {"bat", "spoon"}]
    labels = [label for _, label in source.sketches()]
    assert labels.count("bat") == 30  # an unseen class: nothing trains on it
    trained_on = [n for n in range(1, 31) if not held_out(f"hot-air_balloon:{n}")]
    assert labels.count("hot air balloon") == 30 - len(trained_on) < 15 and "rainbow" not in labels
    assert source.about == "2 categories that both sides name, 4 in the gallery"
    (root / "index.csv").write_text("photo,category,mask\nphoto/1.jpg,spoon,mask/1.png\n")
    with pytest.raises(DatasetError, match="no sketches of anything that the photos of photos are known to show"):
        retrieval_data(datasets.open(root), sketches=[datasets.open(drawings)])


def test_a_photo_with_several_labels_is_relevant_to_each() -> None:
    queries, gallery = np.eye(3, dtype=np.float32), np.eye(3, dtype=np.float32)
    result = score_retrieval(queries, ["a", "b", "c"], gallery, [{"a", "b"}, {"b"}, frozenset()])
    # a: its photo first. b: the second is nearest, then the first by order. c: nowhere.
    assert (result.counts["queries"], result.counts["queries left out"]) == (2, 1)
    assert result.rows["a"]["mAP@all"] == 1.0 and result.rows["b"]["mAP@all"] == 1.0
    swapped = score_retrieval(queries[[2]], ["b"], gallery, [{"a", "b"}, {"b"}, frozenset()])
    assert swapped.metrics["mAP@all"].mean == pytest.approx((1 / 2 + 2 / 3) / 2)


def naive_ranks(sims: np.ndarray, own: list[int], labels: list[str]) -> tuple[list[int], list[int]]:
    within, across = [], []
    for row, mine in zip(sims.tolist(), own, strict=True):
        ranking = sorted(range(len(row)), key=lambda photo: (-row[photo], photo))
        across.append(1 + ranking.index(mine))
        within.append(1 + [photo for photo in ranking if labels[photo] == labels[mine]].index(mine))
    return within, across


def test_two_models_are_compared_query_by_query() -> None:
    """Models that differ less from each other than queries do: the paired interval is the narrow one."""
    rng = np.random.default_rng(0)
    labels = [f"{n % 5}" for n in range(60)]
    centres = rng.normal(size=(5, 16))
    near, far = (centres[[int(label) for label in labels]] + rng.normal(size=(60, 16)) * 2 for _ in range(2))
    unit = lambda x: x / np.linalg.norm(x, axis=1, keepdims=True)  # noqa: E731
    worse = near + rng.normal(size=near.shape) * 0.8
    one, other = (
        score_retrieval(unit(x), labels, unit(far), labels, name) for x, name in ((near, "one"), (worse, "other"))
    )
    both = one.more_than(other, "other")
    difference = both.metrics["mAP@all, more than other"]
    assert difference.mean == pytest.approx(one.metrics["mAP@all"].mean - other.metrics["mAP@all"].mean)
    assert difference.high - difference.low < one.metrics["mAP@all"].high - one.metrics["mAP@all"].low
    same = one.more_than(one, "itself").metrics["P@10, more than itself"]
    assert (same.mean, same.low, same.high) == (0.0, 0.0, 0.0)


def test_target_ranks_equal_those_of_a_sort() -> None:
    rng = np.random.default_rng(0)
    similarity = rng.permuted(np.tile(np.arange(25, dtype=np.float32), (30, 1)), axis=1)
    own, labels = rng.integers(25, size=30), [f"{n}" for n in rng.integers(3, size=25)]
    found = target_ranks(similarity, own, np.unique(labels, return_inverse=True)[1])
    assert [ranks.tolist() for ranks in found] == list(naive_ranks(similarity, own.tolist(), labels))


def test_targets_of_equal_score_are_ranked_at_random_wherever_they_stand() -> None:
    rng = np.random.default_rng(0)
    similarity = rng.integers(0, 4, (3000, 20)).astype(np.float32)  # few values, so that many are equal
    for place in (0, 10, 19):
        own, group = np.full(3000, place), np.repeat([0, 1], 10)
        within, across = target_ranks(similarity, own, group)
        for found, among in ((within, similarity[:, group == group[place]]), (across, similarity)):
            score = similarity[:, place, None]
            best = 1 + (among > score).sum(axis=1)
            last = best + (among == score).sum(axis=1) - 1
            assert ((found >= best) & (found <= last)).all()
            assert found.mean() == pytest.approx(((best + last) / 2).mean(), rel=0.03)
        halves = [target_ranks(similarity[of], own[of], group, of.start) for of in (slice(0, 7), slice(7, 3000))]
        assert (np.concatenate([half[1] for half in halves]) == across).all()


def test_accuracy_is_scikit_learns_top_k_accuracy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sketchfusion.lab.evaluation.retrieval.CHUNK", 7)
    rng = np.random.default_rng(1)
    queries, gallery = (rng.normal(size=(n, 8)).astype(np.float32) for n in (50, 30))
    own, shown = rng.integers(30, size=50), [InstanceId("a", f"{n}") for n in range(30)]
    result = score_instances(queries, [shown[n] for n in own], gallery, shown)
    for k in (1, 5, 10):
        expected = top_k_accuracy_score(own, queries @ gallery.T, k=k, labels=np.arange(30))
        assert result.metrics[f"Acc@{k}/across-categories"].mean == pytest.approx(expected)


def test_a_feature_that_is_the_same_for_all_is_no_better_than_chance() -> None:
    shown = [InstanceId(category, f"{n}") for category in "ab" for n in range(10)]
    drawn = shown * 100
    result = score_instances(np.ones((2000, 4), np.float32), drawn, np.ones((20, 4), np.float32), shown)
    chance = result.trivial["chance"]
    assert chance["Acc@5/within-category"] == 0.5 and chance["Acc@5/across-categories"] == 0.25
    assert {name: e.mean for name, e in result.metrics.items()} == pytest.approx(chance, abs=0.03)


def test_instances_within_and_across_categories_differ_by_the_gallery() -> None:
    shown = [InstanceId("a", "1"), InstanceId("a", "2"), InstanceId("b", "1")]
    gallery = np.eye(3, dtype=np.float32)
    sketch = np.array([[0.5, 0.1, 0.8], [0.9, 0.4, 0.0]], np.float32)  # of a/1 and of a/2
    result = score_instances(sketch, [shown[0], shown[1]], gallery, shown, about="two")
    figures = {name: e.mean for name, e in result.metrics.items()}
    assert (figures["Acc@1/within-category"], figures["Acc@1/across-categories"]) == (0.5, 0.0)
    assert figures["Acc@5/across-categories"] == 1.0
    left = score_instances(sketch, [shown[0], InstanceId("c", "1")], gallery, shown)
    assert left.counts == {"queries": 1, "queries left out": 1, "gallery": 3}
    with pytest.raises(ValueError, match="in the gallery twice"):
        score_instances(sketch, [shown[0]] * 2, gallery, [shown[0], *shown[:2]])
    with pytest.raises(ValueError, match="no sketch has its own photo"):
        score_instances(sketch, [InstanceId("z", "1")] * 2, gallery, shown)


@pytest.mark.usefixtures("few_categories")
def test_instances_are_of_sketchys_own_photos(tmp_path: Path) -> None:
    source = instance_data(datasets.open(sketchy_at(tmp_path)))
    assert [own for _, own in source.sketches()] == [own for _, own in source.photos()]
    assert [own for _, own in source.photos()] == [InstanceId("bat", "n02139199_1"), InstanceId("bat", "n02139199_2")]
    world = instance_data(datasets.open("world"))
    (_, first), (_, second) = [own for _, own in zip(range(2), world.sketches(), strict=False)]
    assert (first.photo, second.photo, first.category == second.category) == ("0", "1", True)


def test_folders_of_photos_and_paired_roots_can_be_named(tmp_path: Path) -> None:
    for name in ("cats/1.jpg", "dogs/2.jpg", "3.jpg"):
        picture(tmp_path / "photos" / name)
    photos = datasets.open(tmp_path / "photos")
    assert photos.names == ["cats", "dogs"] and {photo.label for photo in photos.named("photo")} == {"cats", "dogs"}
    drawn = datasets.open(tuberlin_at(tmp_path / "t"))
    assert "banana" in drawn.names and "giraffe" not in drawn.names  # giraffes are an unseen class
    assert drawn.named("sketch")


def evaluate(*arguments: object) -> tuple[int, str, str]:
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = run(app, repeat_options(["evaluate", *map(str, arguments)], SEVERAL))
    return code, out.getvalue(), err.getvalue()


def test_the_command_measures_instances_and_photos_without_sketches(model_folder: Path, tmp_path: Path) -> None:
    export(tmp_path / "world", 0, ["bat", "cow"], instances=3, size=64)
    common = ("--model", model_folder, "--out", tmp_path / "out", "--json")
    code, answer, _ = evaluate("instances", "--data", tmp_path / "world", *common)
    figures = json.loads(answer)
    names = {f"Acc@{k}/{among}" for k in (1, 5, 10) for among in ("within-category", "across-categories")}
    assert code == 0 and names <= set(figures) and figures["queries"] == 12 and figures["gallery"] == 6
    assert figures["Acc@5/within-category"] == 1.0  # of three photos
    picture(tmp_path / "photos" / "bat" / "1.png")
    world = ("--sketches", tmp_path / "world")
    code, answer, error = evaluate("retrieval", "--data", tmp_path / "photos", *world, *common)
    figures = json.loads(answer)
    assert (code, figures["mAP@all"], figures["queries"]) == (0, 1.0, 6), error
    assert figures["categories"] == "1 categories that both sides name, 1 in the gallery"
    code, _, error = evaluate("retrieval", "--data", tmp_path / "photos", *common)
    assert code == 2 and error.startswith("sketchfusion: ") and len(error.splitlines()) == 1
    reports = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert [name.split("-")[0] for name in reports] == ["instance"] * 2 + ["retrieval"] * 2


def test_cluttered_real_photos_have_sketches_to_search_with(shared_data: Path) -> None:
    roots = [datasets.open(shared_data / name) for name in ("sketchy-mini", "quickdraw-mini")]
    source = retrieval_data(datasets.open(shared_data / "segmentation-mini"), sketches=roots)
    gallery = [labels for _, labels in source.photos()]
    assert len(gallery) == 166 and sum(map(len, gallery)) == 225
    assert source.about == "49 categories that both sides name, 50 in the gallery"
    usual = retrieval_data(datasets.open(shared_data / "sketchy-mini"))
    assert usual.about == "10 of the 21 unseen classes of sketchy-21"
    assert (len([*usual.sketches()]), len([*usual.photos()])) == (250, 250)


@pytest.mark.parametrize(
    ("asked", "line"),
    [
        (("correspondence", "--split", "nonsense"), "No such option: --split"),
        (("instances", "--sketches", "qd"), "No such option: --sketches"),
        (("recognition", "--kind", "nope"), "'nope' is no kind of picture; choose sketch or photo"),
        (("correspondence", "--sketches", "a", "b"), "lie in one root of Sketchy"),
        (("instances", "--split", "sketchy-21"), "Sketch World has a split and sketches of its own; leave --split out"),
        (("segmentation", "--held-out"), "Sketch World has a split and sketches of its own; leave --held-out out"),
        (("recognition", "--examples", "--kind", "photo"), "leave --kind out"),
        (("retrieval", "--sketches", "qd", "--split", "sketchy-21"), "leave --split and --duplicates out"),
        (("retrieval", "--split", "sketchy-21"), "Sketch World has a split and sketches of its own; leave --split out"),
        (("retrieval", "--data", "a/tiny", "b/tiny"), "two of --data are called tiny"),
    ],
)
def test_options_that_contradict_the_task_or_one_another_are_refused(
    asked: tuple[str, ...], line: str, tmp_path: Path
) -> None:
    code, _, error = evaluate(*asked, "--data", "world", "--out", tmp_path / "out")
    assert (code, len(error.splitlines())) == (2, 1) and line in error, error


@pytest.fixture
def pixels(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every name of a model mean one that takes no time."""
    monkeypatch.setattr("sketchfusion.models.load", lambda name: PixelExtractor(name))


@pytest.mark.usefixtures("pixels")
def test_reports_of_other_splits_and_sketches_lie_beside_one_another(tmp_path: Path) -> None:
    root, out = sketchy_at(tmp_path / "tiny"), tmp_path / "out"
    common = ("--data", root, "--out", out, "--json")
    asked: list[tuple[object, ...]] = [(), ("--split", "sketchy-21"), ("--duplicates",), ("--sketches", root)]
    for options in asked:
        code, _, error = evaluate("retrieval", *common, *options)
        assert code == 0, error
    assert evaluate("instances", *common, "--split", "sketchy-21")[0] == 0
    read = [json.loads(path.read_text()) for path in out.glob("retrieval-*.json")]
    reports = {report["data"]: report for report in read}
    assert set(reports) == {"tiny", "tiny-sketchy-21", "tiny-duplicates", "tiny-tiny"}
    assert len([*out.glob("instance-retrieval-tiny-sketchy-21-*.json")]) == 1
    assert reports["tiny"]["root"] == str(root) and "sketches" not in reports["tiny"]
    assert reports["tiny-tiny"]["sketches"] == [str(root)]


@pytest.mark.usefixtures("pixels")
@pytest.mark.parametrize("task", ["retrieval", "instances"])
def test_names_of_any_bytes_and_script_are_measured_and_reported(task: str, tmp_path: Path) -> None:
    for name in ("猫", "caf\udce9", "a|b"):  # the second one is Latin-1, as of an old archive
        for kind, file in (("photo", f"{name}.jpg"), ("sketch", f"{name}-1.png")):
            picture(tmp_path / "s" / "256x256" / kind / "tx_000000000000" / name / file)
    code, said, error = evaluate(task, "--data", tmp_path / "s", "--out", tmp_path / "out")
    assert code == 0, error
    assert "| 猫 |" in said and "| caf\\udce9 |" in said and "| a\\|b |" in said
    assert (tmp_path / "out" / f"{'instance-' * (task == 'instances')}retrieval-s-mini.md").read_text("utf-8") == said[
        :-1
    ]
    described = describe_files([str(tmp_path / "s")], [], tmp_path / "out")
    assert described.startswith("6 files") and held_out("caf\udce9") in (True, False)


@pytest.mark.usefixtures("pixels")
def test_a_report_says_which_of_its_classes_training_may_draw(tmp_path: Path) -> None:
    root = sketchy_at(tmp_path / "tiny")
    common = ("--data", root, "--out", tmp_path / "out")
    for task in ("retrieval", "instances"):
        said = evaluate(task, *common, "--split", "sketchy-25-sempcyc")[1]  # of jack-o-lanterns
        assert "classes of sketchy-25-sempcyc, 1 of which models of this project may have been trained on)" in said
        assert "may have been trained on" not in evaluate(task, *common)[1]  # of bats


def test_a_folder_that_cannot_be_written_is_known_before_anything_is_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sketchfusion.models.load", lambda *a: pytest.fail("too late"))
    (tmp_path / "file.png").touch()
    code, _, error = evaluate("retrieval", "--data", "world", "--out", tmp_path / "file.png" / "x")
    assert code == 2 and error == f"sketchfusion: {tmp_path / 'file.png' / 'x'}: Not a directory\n"
