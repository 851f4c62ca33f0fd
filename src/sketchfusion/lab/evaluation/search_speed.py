"""The cost of searching a large gallery: `sketchfusion bench search --rows 100000`.

The model embeds a few photos and sketches of Sketch World; the rows of the gallery are synthetic vectors, each
interpolated between two such photos of one category, plus noise half as long as its step from the first.
"""

import shutil
import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ...extractor import Extractor
from ...featuremap import Floats
from ...gallery.embed import embed_views
from ...gallery.nearest import ApproximateIndex, ExactIndex
from ...gallery.query import Filter, make_scorer
from ...gallery.rows import FileState, Photo, tag_of
from ...gallery.store import GalleryStore
from ...io.images import read_image, thumbnail
from ..datasets.world import SketchWorld
from .retrieval import Progress
from .search import concatenate_views
from .speed import Cost, cost_of, in_new_process, peak_bytes, with_ratios

REAL = 3  # photos of each category that the model embeds
BATCH, COMMIT = 16, 1000  # photos embedded at once, rows stored at once
QUERIES = 200
K = 10
WARM = 5  # warm-up searches, not timed


@dataclass(frozen=True, eq=False)
class Real:
    """Photos and sketches of Sketch World, embedded; synthetic rows and queries are interpolated between them."""

    columns: dict[str, Floats]  # of the photos: "vector" (N, d) and, for a model with text, "joint" (N, P)
    labels: npt.NDArray[np.str_]  # (N,)
    thumbnails: list[bytes]
    sketches: Floats  # (Q, d)
    seconds: float  # to embed all N photos


def bench_search(model: Extractor, rows: int, folder: Path, seed: int, progress: Progress) -> list[Cost]:
    """Time building, loading and searching a gallery of `rows` synthetic photos in `folder`.

    Each way of loading and of searching runs in its own process. The reference for searches is the store's own scan of
    all rows. `recall@10` is the share of the ten nearest photos, by exact search, that a way finds.
    """
    real = embed_world(model, seed)
    uri = str(folder / "gallery")
    shutil.rmtree(uri, ignore_errors=True)
    store = GalleryStore.create(uri, tag_of(model))
    stored, compacted, indexed = _build(store, real, rows, seed, progress)
    size = sum(path.stat().st_size for path in Path(uri).rglob("*") if path.is_file())
    costs = [
        cost_of("embed photos", [real.seconds], len(real.labels)),
        cost_of("store rows", [stored], rows),
        cost_of("compact", [compacted], rows),
        replace(cost_of("build index", [indexed], rows), more={"seconds": indexed, "bytes on disk": size}),
    ]
    loads = with_ratios([in_new_process(_time_load, way, uri, rows) for way in LOADS])
    exact, queries, category, ways = ExactIndex(store), _random_queries(real, seed), str(real.labels[0]), []
    for way in WAYS:
        found, cost = in_new_process(_time_search, way, uri, queries, category)
        wanted = Filter(category) if FILTERED in way else Filter()
        truth = [set(exact.best(make_scorer([query], [], None), K, wanted).rows.paths) for query in queries]
        recall = float(np.mean([len(a & b) / max(len(b), 1) for a, b in zip(found, truth, strict=True)]))
        flop = 2.0 * rows * model.dim if way in (SCAN, MEMORY) else 0.0
        ways.append(replace(cost, flop=flop, more={**cost.more, "recall@10": recall}))
    return costs + loads + with_ratios(ways)


def embed_world(model: Extractor, seed: int) -> Real:
    """Embed photos and sketches of Sketch World, and time the photos."""
    world, views, labels, thumbnails, sketches = SketchWorld(seed).world, [], [], [], []
    for category in world.categories:
        for instance in range(REAL):
            image = read_image(world.photo(category, instance).photo, "photo")
            views.append(model.prepare(image, "photo"))
            thumbnails.append(thumbnail(image))
            labels.append(category)
        sketch = world.sketch(category, REAL)[0]
        sketches.append(sketch[:, :, None].repeat(3, axis=2))
    started = time.perf_counter()
    parts = [embed_views(model, views[start : start + BATCH]) for start in range(0, len(views), BATCH)]
    seconds = time.perf_counter() - started
    drawn = model.embed(sketches, kind="sketch").numpy()
    return Real(concatenate_views(parts), np.array(labels), thumbnails, drawn, seconds)


def interpolate(real: Floats, others: Floats, share: Floats, generator: np.random.Generator) -> Floats:
    """Move unit vectors (N, d) a `share` of the way to `others`, add random noise half that long, and normalise."""
    way = share * (others - real)
    aside = generator.standard_normal(real.shape, np.float32)
    aside *= 0.5 * np.linalg.norm(way, axis=1, keepdims=True) / np.linalg.norm(aside, axis=1, keepdims=True)
    points = real + way + aside
    return np.asarray(points / np.linalg.norm(points, axis=1, keepdims=True), np.float32)


def _build(store: GalleryStore, real: Real, rows: int, seed: int, progress: Progress) -> tuple[float, float, float]:
    """Store synthetic photos, `COMMIT` at a time; return the seconds to store, to compact and to build the index."""
    generator, stored = np.random.default_rng(seed), 0.0
    for start in range(0, rows, COMMIT):
        photos = _random_photos(real, range(start, min(start + COMMIT, rows)), generator)
        started = time.perf_counter()
        store.put(photos)
        stored += time.perf_counter() - started
        progress(start + len(photos), rows)
    started = time.perf_counter()
    store.compact()
    compacted = time.perf_counter()
    store.index()
    return stored, compacted - started, time.perf_counter() - compacted


def _random_photos(real: Real, numbers: range, generator: np.random.Generator) -> list[Photo]:
    count = len(numbers)
    first = generator.integers(len(real.labels), size=count)
    second = first // REAL * REAL + (first + generator.integers(1, REAL, size=count)) % REAL  # of the same category
    share = generator.uniform(0.1, 0.5, (count, 1)).astype(np.float32)
    made = {name: interpolate(of[first], of[second], share, generator) for name, of in real.columns.items()}
    return [
        Photo(
            FileState(f"/photos/{number:09}.jpg", generator.bytes(32).hex(), 100_000 + number, number + 1),
            *(640, 480, str(real.labels[source]), real.thumbnails[source], made["vector"][place]),
            joint=made["joint"][place] if "joint" in made else None,
        )
        for place, (number, source) in enumerate(zip(numbers, first, strict=True))
    ]


def _random_queries(real: Real, seed: int) -> Floats:
    """Interpolate queries between embedded sketches, so that they are about as far from the photos as sketches are."""
    generator = np.random.default_rng(seed + 1)
    first, second = real.sketches[generator.integers(len(real.sketches), size=(2, QUERIES))]
    return interpolate(first, second, generator.uniform(0.1, 0.5, (QUERIES, 1)).astype(np.float32), generator)


LOADS = ("load, every row verified", "load, contents compared with their digest")
SCAN, MEMORY, INDEX, FILTERED = "scan of the store", "exact, in memory", "approximate index", "one category"
WAYS = (SCAN, MEMORY, INDEX, f"{MEMORY}, {FILTERED}", f"{INDEX}, {FILTERED}")


def _time_load(way: str, uri: str, rows: int) -> Cost:
    """Time loading all vectors into memory in one way: the second of two loads, so that caches are warm."""
    store = GalleryStore.find(uri)
    assert store is not None
    for _ in range(2):
        started = time.perf_counter()
        store.load(verify_rows=way == LOADS[0])
        seconds = time.perf_counter() - started
    return replace(cost_of(way, [seconds], rows), more={"seconds": seconds})


def _time_search(way: str, uri: str, queries: Floats, category: str) -> tuple[list[set[str]], Cost]:
    """Search in one way; return the paths of the photos found for each query, and the cost."""
    before, started = peak_bytes(), time.perf_counter()
    store = GalleryStore.find(uri)
    assert store is not None
    index = ExactIndex(store) if way.startswith(MEMORY) else ApproximateIndex(store)
    opened = time.perf_counter() - started
    wanted = Filter(category) if FILTERED in way else Filter()
    answers, seconds = [], []
    for query in np.concatenate([queries[:WARM], queries]):
        started = time.perf_counter()
        if way == SCAN:
            paths = store.nearest("vector", query, K, exactly=True)["path"].to_pylist()
        else:
            paths = index.best(make_scorer([query], [], None), K, wanted).rows.paths
        seconds.append(time.perf_counter() - started)
        answers.append(set(paths))
    middle, slow = np.quantile(seconds[WARM:], [0.5, 0.95]).tolist()
    more = {"p95 milliseconds": 1000 * slow, "seconds to open": opened, "bytes before opening": float(before)}
    return answers[WARM:], Cost(way, 1 / middle, 1000 * middle, peak_bytes(), 0, more=more)
