"""What searching a large gallery costs: `sketchfusion bench search --rows 100000`.

The vectors are made like real ones: photos and sketches of Sketch World are embedded by the model, and each further
photo lies between two real ones of a category, moved aside by half of its way from the nearer one.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from ..gallery.embed import embed_views
from ..gallery.nearest import Filter, Held, Indexed
from ..gallery.query import look_for
from ..gallery.rows import FileState, Photo, tag_of
from ..gallery.store import GalleryStore
from ..io.images import read_image, thumbnail
from ..world import World
from .cost import Cost, alone, beside_first, peak_bytes

if TYPE_CHECKING:
    from ..extractor import BatchExtractor


Floats = npt.NDArray[np.float32]
Progress = Callable[[int, int], None]

REAL = 3  # photos of each category of Sketch World
BATCH, COMMIT = 16, 1000
QUERIES = 200
K = 10
WARM = 5  # searches before the clock counts


@dataclass(frozen=True, eq=False)
class Real:
    """What the model says of real pictures: photos with labels, joint vectors and thumbnails, and sketches."""

    vectors: Floats  # (N, d)
    joint: Floats | None  # (N, P)
    labels: npt.NDArray[np.str_]  # (N,)
    thumbnails: list[bytes]
    sketches: Floats  # (Q, d)
    seconds: float  # to embed one photo


def bench_search(model: BatchExtractor, rows: int, folder: Path, seed: int, progress: Progress) -> list[Cost]:
    """Build a gallery of `rows` photos in `folder` and search it in several ways, each in a process of its own.

    The reference is the store's own scan of all rows. `recall` is the share of the ten truly nearest that are found.
    """
    real = embed_world(model, seed)
    uri = str(folder / "gallery")
    shutil.rmtree(uri, ignore_errors=True)
    store = GalleryStore.create(uri, tag_of(model))
    stored, compacted, indexed = _build(store, real, rows, seed, progress)
    size = sum(path.stat().st_size for path in Path(uri).rglob("*") if path.is_file())
    costs = [
        _once("embed photos", real.seconds, len(real.labels)),
        _once("store rows", stored, rows),
        _once("compact", compacted, rows),
        replace(_once("build index", indexed, rows), more={"seconds": indexed, "bytes on disk": size}),
    ]
    queries, category = _sketched(real, seed), str(real.labels[0])
    ways = []
    for way in WAYS:
        found, cost = alone(_search, way, uri, queries, category)
        truth = _truth(store, queries, Filter(category) if FILTERED in way else Filter())
        recall = float(np.mean([len(a & b) / max(len(b), 1) for a, b in zip(found, truth, strict=True)]))
        flop = 2.0 * rows * model.dim if way in (SCAN, MEMORY) else 0.0
        ways.append(replace(cost, flop=flop, more={**cost.more, "recall@10": recall}))
    return costs + beside_first(ways)


def embed_world(model: BatchExtractor, seed: int) -> Real:
    """Embed photos and sketches of Sketch World; time the photos."""
    world, views, labels, thumbnails, sketches = World(seed), [], [], [], []
    for category in world.categories:
        for instance in range(REAL):
            image = read_image(world.photo(category, instance).photo, "photo")
            views.append(model.view(image, "photo"))
            thumbnails.append(thumbnail(image))
            labels.append(category)
        sketch = world.sketch(category, REAL)[0]
        sketches.append(sketch[:, :, None].repeat(3, axis=2))
    started = time.perf_counter()
    parts = [embed_views(model, views[start : start + BATCH]) for start in range(0, len(views), BATCH)]
    seconds = time.perf_counter() - started
    vectors = np.concatenate([part[0] for part in parts])
    joint = [part[1] for part in parts if part[1] is not None]
    drawn = model.embed(sketches, kind="sketch").numpy()
    return Real(vectors, np.concatenate(joint) if joint else None, np.array(labels), thumbnails, drawn, seconds)


def between(real: Floats, others: Floats, share: Floats, generator: np.random.Generator) -> Floats:
    """Unit vectors (N, d) on the way from `real` to `others`, moved aside by half of the way that was gone."""
    way = share * (others - real)
    aside = generator.standard_normal(real.shape, np.float32)
    aside *= 0.5 * np.linalg.norm(way, axis=1, keepdims=True) / np.linalg.norm(aside, axis=1, keepdims=True)
    points = real + way + aside
    unit: Floats = (points / np.linalg.norm(points, axis=1, keepdims=True)).astype(np.float32)
    return unit


def _build(store: GalleryStore, real: Real, rows: int, seed: int, progress: Progress) -> tuple[float, float, float]:
    """Store made-up photos in commits as indexing does; gives the seconds of storing, compacting and indexing."""
    generator, stored = np.random.default_rng(seed), 0.0
    for start in range(0, rows, COMMIT):
        photos = _photos(real, range(start, min(start + COMMIT, rows)), generator)
        started = time.perf_counter()
        store.put(photos)
        stored += time.perf_counter() - started
        progress(start + len(photos), rows)
    started = time.perf_counter()
    store.compact()
    compacted = time.perf_counter()
    store.index()
    return stored, compacted - started, time.perf_counter() - compacted


def _photos(real: Real, numbers: range, generator: np.random.Generator) -> list[Photo]:
    count = len(numbers)
    first = generator.integers(len(real.labels), size=count)
    second = first // REAL * REAL + (first + generator.integers(1, REAL, size=count)) % REAL  # of the same category
    share = generator.uniform(0.1, 0.5, (count, 1)).astype(np.float32)
    vectors = between(real.vectors[first], real.vectors[second], share, generator)
    joint = None if real.joint is None else between(real.joint[first], real.joint[second], share, generator)
    return [
        Photo(
            FileState(f"/photos/{number:09}.jpg", generator.bytes(32).hex(), 100_000 + number, number + 1),
            *(640, 480, str(real.labels[source]), real.thumbnails[source], vectors[place]),
            joint=None if joint is None else joint[place],
        )
        for place, (number, source) in enumerate(zip(numbers, first, strict=True))
    ]


def _sketched(real: Real, seed: int) -> Floats:
    """Queries as far from the photos as real sketches are: between two sketches."""
    generator = np.random.default_rng(seed + 1)
    first, second = generator.integers(len(real.sketches), size=(2, QUERIES))
    share = generator.uniform(0.1, 0.5, (QUERIES, 1)).astype(np.float32)
    return between(real.sketches[first], real.sketches[second], share, generator)


SCAN, MEMORY, INDEX, FILTERED = "scan of the store", "exact, in memory", "approximate index", "one category"
WAYS = (SCAN, MEMORY, INDEX, f"{MEMORY}, {FILTERED}", f"{INDEX}, {FILTERED}")


def _search(way: str, uri: str, queries: Floats, category: str) -> tuple[list[set[str]], Cost]:
    """Search in one way; gives the answers and the cost."""
    before, started = peak_bytes(), time.perf_counter()
    store = GalleryStore.find(uri)
    assert store is not None
    nearest = Held(store) if way.startswith(MEMORY) else Indexed(store)
    opened = time.perf_counter() - started
    wanted = Filter(category) if FILTERED in way else Filter()
    answers, seconds = [], []
    for query in np.concatenate([queries[:WARM], queries]):
        started = time.perf_counter()
        if way == SCAN:
            paths = store.nearest("vector", query, K, exactly=True)["path"].to_pylist()
        else:
            question = look_for([query], [], None)
            nearest.background(question)
            paths = nearest.best(question, K, wanted).rows.paths
        seconds.append(time.perf_counter() - started)
        answers.append(set(paths))
    middle, slow = np.quantile(seconds[WARM:], [0.5, 0.95]).tolist()
    more = {"p95 milliseconds": 1000 * slow, "seconds to open": opened, "bytes before opening": float(before)}
    return answers[WARM:], Cost(way, 1 / middle, 1000 * middle, peak_bytes(), 0, 1, more)


def _truth(store: GalleryStore, queries: Floats, wanted: Filter) -> list[set[str]]:
    held = Held(store)
    return [set(held.best(look_for([query], [], None), K, wanted).rows.paths) for query in queries]


def _once(name: str, seconds: float, count: int) -> Cost:
    return Cost(name, count / seconds, 1000 * seconds / count, peak_bytes(), 0, 1)
