"""The approximate index against exact search: the same answers, filters and new rows included."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from sketchfusion.gallery import GalleryError
from sketchfusion.gallery.confidence import confidences, highest, measure_best_scores
from sketchfusion.gallery.nearest import ApproximateIndex, ExactIndex
from sketchfusion.gallery.query import Background, Filter, Scorer, make_scorer, robust_moments
from sketchfusion.gallery.rows import FileState, ModelTag, Photo
from sketchfusion.gallery.store import GalleryStore

DIM, JOINT, ROWS = 24, 8, 6000


def unit(vectors: np.ndarray) -> np.ndarray:
    return (vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)).astype(np.float32)


def photos(numbers: range, seed: int) -> list[Photo]:
    generator = np.random.default_rng(seed)
    vectors, joint = (unit(generator.standard_normal((len(numbers), dim))) for dim in (DIM, JOINT))
    return [
        Photo(
            FileState(f"/p/{number:06}.jpg", generator.bytes(32).hex(), number, 1),
            *(number % 100, 10, "rare" if number % 1000 == 7 else "it's", b"", vectors[place]),
            joint=joint[place],
        )
        for place, number in enumerate(numbers)
    ]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> GalleryStore:
    store = GalleryStore.create(str(tmp_path_factory.mktemp("g")), ModelTag("m", "f" * 64, DIM, JOINT))
    store.put(photos(range(ROWS), 0))
    store.index()
    store.put(photos(range(ROWS, ROWS + 200), 1))  # after the index was built
    return store


def questions(count: int, words: bool) -> list[Scorer]:
    generator = np.random.default_rng(5)
    sketches, texts = (unit(generator.standard_normal((count, dim))) for dim in (DIM, JOINT))
    return [make_scorer([s], [], t if words else None) for s, t in zip(sketches, texts, strict=True)]


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        (Filter(), False),
        (Filter(), True),
        (Filter("rare"), True),
        (Filter("it's", "width < 50"), False),
        (Filter(where="width = 3 OR height = 4"), True),
    ],
)
def test_the_index_answers_as_exact_search_does(store: GalleryStore, wanted: Filter, words: bool) -> None:
    held, indexed = ExactIndex(store), ApproximateIndex(store)
    same = total = 0
    for question in questions(10, words):
        question = question.standardised(held.background)
        exact, near = (nearest.best(question, 10, wanted) for nearest in (held, indexed))
        assert len(near.rows.paths) == len(exact.rows.paths)
        assert (np.diff(near.scores) <= 0).all()
        scores = dict(zip(exact.rows.paths, exact.scores, strict=True))
        both = [place for place, path in enumerate(near.rows.paths) if path in scores]
        assert near.scores[both] == pytest.approx([scores[near.rows.paths[p]] for p in both], abs=1e-5)
        same, total = same + len(both), total + len(exact.rows.paths)
    assert same >= 0.99 * total


def test_photos_added_after_the_index_was_built_are_found(store: GalleryStore) -> None:
    indexed = ApproximateIndex(store)
    for photo in photos(range(ROWS, ROWS + 200), 1)[::40]:
        found = indexed.best(make_scorer([photo.vector], [], None), 1, Filter())
        assert (found.rows.paths[0], found.scores[0]) == (photo.file.path, pytest.approx(1, abs=1e-5))


def test_an_answer_has_as_many_rows_as_there_are(store: GalleryStore) -> None:
    (question,) = questions(1, False)
    for nearest in (ExactIndex(store), ApproximateIndex(store)):
        assert len(nearest.best(question, 10_000, Filter()).scores) == ROWS + 200
        assert len(nearest.best(question, 10_000, Filter("rare")).scores) == 7
        assert len(nearest.best(question, 3, Filter(where="width > 4000")).scores) == 0
        with pytest.raises(GalleryError, match=r"no photo is in category 'rarer'; categories include rare"):
            nearest.best(question, 3, Filter("rarer"))
        with pytest.raises(GalleryError, match=r"cannot filter by 'colour = 3'; .*path, digest.*longitude$"):
            nearest.best(question, 3, Filter(where="colour = 3"))


def test_a_sample_is_a_fair_share_and_always_the_same(store: GalleryStore) -> None:
    count, columns = store.sample(1000)
    assert count == ROWS + 200
    assert 850 < len(columns["vector"]) < 1150
    assert len(columns["joint"]) == len(columns["vector"])
    assert (store.sample(1000)[1]["vector"] == columns["vector"]).all()
    assert len(store.sample(10**9)[1]["vector"]) == count


def test_equal_photos_come_in_the_order_of_their_paths(tmp_path: Path) -> None:
    store = GalleryStore.create(str(tmp_path / "g"), ModelTag("m", "f" * 64, DIM))
    (one,) = photos(range(1), 3)
    paths = [f"/p/{name}.jpg" for name in "dacb"]
    store.put([Photo(FileState(path, "0", 1, 1), 1, 1, "c", b"", one.vector) for path in paths])
    for nearest in (ExactIndex(store), ApproximateIndex(store)):
        assert list(nearest.best(make_scorer([one.vector], [], None), 3, Filter()).rows.paths) == sorted(paths)[:3]


@pytest.mark.parametrize("count", [300, 3000, 30_000])
def test_confidence_is_the_share_of_unrelated_questions_beaten(count: int) -> None:
    """The same in a small gallery, and in one that only a sample is known of."""
    generator = np.random.default_rng(count)
    gallery, others, fresh = (unit(generator.standard_normal((n, 256), np.float32)) for n in (count, 200, 400))
    background = Background(count, {"vector": gallery[:3000]})
    learned = measure_best_scores([make_scorer([vector], [], None) for vector in others], background)
    scores = fresh @ gallery.T
    confidence = np.array([confidences(learned, row.max(keepdims=True), row[:3000])[0] for row in scores])
    assert (confidence > 0.5).mean() == pytest.approx(0.5, abs=0.17)
    assert (confidence > 0.9).mean() == pytest.approx(0.1, abs=0.1)
    sure, unsure = confidences(learned, np.array([1.0, 0.0], np.float32), scores[0, :3000])
    assert sure > 0.999 and unsure < 0.001


def test_a_drawing_that_is_a_little_like_everything_is_not_surer() -> None:
    """Its cosines are all higher, and all spread wider; what counts is how far a photo stands out."""
    generator = np.random.default_rng(0)
    gallery, others = (unit(generator.standard_normal((n, 64), np.float32)) for n in (300, 50))
    chance = measure_best_scores([make_scorer([of], [], None) for of in others], Background(300, {"vector": gallery}))
    scores = gallery @ others[0]
    assert confidences(chance, scores * 2 + 0.5, scores * 2 + 0.5) == pytest.approx(
        confidences(chance, scores, scores), abs=1e-4
    )


def test_the_highest_of_many_is_told_from_a_sample() -> None:
    scores = np.random.default_rng(0).standard_normal(200_000).astype(np.float32)
    told = [highest(scores[start : start + 4000], len(scores)) for start in range(0, 200_000, 4000)]
    assert np.mean(told) == pytest.approx(float(scores.max()), abs=0.2)
    assert highest(scores, len(scores)) == scores.max()


def flipped(root: Path, piece: bytes) -> int:
    """Flip a bit in the middle of a piece of data wherever files hold it; give how often."""
    count = 0
    for path in root.rglob("data/*.lance"):
        whole = bytearray(path.read_bytes())
        if (place := whole.find(piece)) >= 0:
            whole[place + len(piece) // 2] ^= 1
            path.write_bytes(whole)
            count += 1
    return count


@pytest.mark.parametrize("backwards", [False, True])
def test_a_gallery_is_loaded_in_order_and_a_flipped_bit_in_a_row_is_said(tmp_path: Path, backwards: bool) -> None:
    made = photos(range(50), 2)
    store = GalleryStore.create(str(tmp_path / "g"), ModelTag("m", "f" * 64, DIM, JOINT))
    store.put(made[::-1] if backwards else made)
    store.compact()
    for quick in (True, False):
        version, rows = store.load(verify_rows=not quick)
        assert version == store.version and list(rows.paths) == [photo.file.path for photo in made]
        assert (rows.columns["vector"] == np.stack([photo.vector for photo in made])).all()
        assert (rows.columns["joint"] == np.stack([photo.joint for photo in made])).all()
    for piece in (made[20].vector.tobytes(), made[30].joint.tobytes(), made[40].file.path.encode()):
        shutil.copytree(tmp_path / "g", tmp_path / "broken")
        assert flipped(tmp_path / "broken", piece) == 1
        damaged = GalleryStore.find(str(tmp_path / "broken"))
        assert damaged is not None
        with pytest.raises(GalleryError, match="damaged"):
            damaged.load()
        with pytest.raises(GalleryError, match="damaged"):
            ExactIndex(damaged)
        shutil.rmtree(tmp_path / "broken")


def test_copies_in_a_small_gallery_do_not_make_the_other_photos_stand_out() -> None:
    for scores in ([0.1, 0.1, 0.1, 0.5], [0.1, 0.1, 0.1001, 0.5, 0.2]):
        middle, spread = robust_moments(np.array(scores, np.float32))
        assert (max(scores) - middle) / spread < 3
    many = np.random.default_rng(0).normal(0.2, 0.1, 1000).astype(np.float32)
    outliers = np.append(many, np.full(20, 5, np.float32))
    assert robust_moments(outliers) == pytest.approx(robust_moments(many), abs=0.01)
