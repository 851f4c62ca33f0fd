"""Reorder answers: diffuse scores between similar photos, and fold near-duplicates into one hit.

A sketch is far from all photos, and photos of one thing are near each other, so a photo that is similar to several good
answers is likely one, too (Zhou et al., Ranking on Data Manifolds, 2003; Iscen et al., Efficient Diffusion on Region
Manifolds, 2017). Near-duplicates are one photo resized, recompressed, brightened or slightly cropped. Both their
features and their thumbnails, reduced to 8x8, must agree: photos that only have similar colours in the same places
differ in features, photos that only show the same kind of thing differ in thumbnails.
"""

import io
from collections.abc import Callable, Container, Iterable, Sequence
from dataclasses import replace

import numpy as np
from PIL import Image

from ..featuremap import Floats
from .nearest import Hit, Ranked

CANDIDATES = 1000  # the best photos, between which scores are diffused
# Chosen on Sketch World's unseen categories and Sketchy's validation classes (docs/results/mini.md, twelfth round).
NEIGHBOURS = 10  # of each photo
SPREAD = 0.8  # share of a photo's diffused score that comes from its neighbours
SHARPNESS = 0.3  # standard deviations of the gallery's scores over which a photo's initial weight falls to a third
SAME_FEATURES = 0.55  # cosine of near-duplicates
COPIES, SAME_SCORE = 0.9999, 1e-3  # least cosine of copies, embedded in other batches, and how far scores differ
SAME_COLOURS = 0.92  # correlation of their reduced thumbnails
REDUCED = 8  # cells of a side
FLAT = 2.0  # grey levels: a picture that varies less is plain
Thumbnails = Callable[[Iterable[str]], dict[str, bytes]]  # JPEG pictures by path


def diffused(found: Ranked, deviation: float) -> Ranked:
    """Reorder the first CANDIDATES photos by their own scores and those of the photos similar to them.

    The rest follow in their old order. No score changes. `deviation`, the standard deviation of scores over the
    gallery, is the scale on which scores are compared.
    """
    first = found.take(np.arange(min(CANDIDATES, len(found.scores))))
    if len(first.scores) < 3:
        return found
    weights = np.exp((first.scores - first.scores.max()) / (SHARPNESS * max(deviation, 1e-6)))
    spread = np.linalg.solve(np.eye(len(weights)) - SPREAD * _graph(first.rows.columns["vector"]), weights)
    order = np.argsort(-spread, kind="stable")
    return found.take(np.concatenate([order, np.arange(len(order), len(found.scores))]))


def _graph(vectors: Floats) -> Floats:
    """Build the nearest-neighbour graph of unit vectors (N, d): cosines (N, N), symmetrically normalised by degree."""
    cosines = np.maximum(vectors @ vectors.T, 0)
    np.fill_diagonal(cosines, 0)
    count = min(NEIGHBOURS, len(cosines) - 1)
    nearest = np.argpartition(-cosines, count - 1, axis=1)[:, :count]
    links = np.zeros_like(cosines)
    np.put_along_axis(links, nearest, np.take_along_axis(cosines, nearest, axis=1), axis=1)
    links = (links + links.T) / 2
    scale = 1 / np.sqrt(np.maximum(links.sum(axis=1), 1e-9))
    graph: Floats = scale[:, None] * links * scale
    return graph


def fold(hits: Sequence[Hit], vectors: Floats, thumbnails: Thumbnails) -> list[Hit]:
    """Fold each hit into the first kept one that it is a near-duplicate of; `vectors` (N, d) are the hits' features."""
    alike = vectors @ vectors.T >= SAME_FEATURES
    np.fill_diagonal(alike, False)
    doubtful = np.flatnonzero(alike.any(axis=1)).tolist()
    pictures = thumbnails(hits[place].path for place in doubtful)
    reduced = {place: _reduced(pictures[hits[place].path]) for place in doubtful}

    def same(one: int, other: int) -> bool:
        return bool(alike[one, other] and (reduced[one] * reduced[other]).mean() >= SAME_COLOURS)

    return _folded(hits, lambda place, kept: next((one for one in kept if same(one, place)), None))


def fold_copies(hits: Sequence[Hit], vectors: Floats, thumbnails: Thumbnails) -> list[Hit]:
    """Fold each hit into the first that shows the very same picture; `vectors` (N, d) are the hits' features.

    Copies have nearly the same score, so only hits that follow each other closely are compared. Their thumbnails are
    equal byte by byte.
    """
    near: dict[int, list[int]] = {}
    for place, hit in enumerate(hits):
        for one in range(place - 1, -1, -1):
            if hits[one].score - hit.score > SAME_SCORE * max(1.0, abs(hit.score)):
                break
            if vectors[one] @ vectors[place] >= COPIES:
                near.setdefault(place, []).append(one)
    pictures = thumbnails({hits[place].path for of, others in near.items() for place in (of, *others)})

    def first(place: int, kept: Container[int]) -> int | None:
        picture = pictures.get(hits[place].path)  # none if the photo is gone by now
        others = near.get(place, ()) if picture else ()
        return next((one for one in others if one in kept and pictures.get(hits[one].path) == picture), None)

    return _folded(hits, first)


def _folded(hits: Sequence[Hit], leader_of: Callable[[int, dict[int, list[str]]], int | None]) -> list[Hit]:
    """Fold hits into those that `leader_of` finds among the places kept so far."""
    leaders: dict[int, list[str]] = {}
    for place, hit in enumerate(hits):
        leader = leader_of(place, leaders)
        if leader is None:
            leaders[place] = []
        else:
            leaders[leader].append(hit.path)
    return [
        replace(hits[place], rank=rank, similar=tuple(similar))
        for rank, (place, similar) in enumerate(leaders.items(), start=1)
    ]


def _reduced(thumbnail: bytes) -> Floats:
    """Reduce a picture to 8x8 colours with mean 0 and standard deviation 1."""
    with Image.open(io.BytesIO(thumbnail)) as picture:
        small = picture.convert("RGB").resize((REDUCED, REDUCED), Image.Resampling.BOX)
    colours = np.asarray(small, np.float32)
    centred: Floats = colours - colours.mean()
    return centred / np.float32(max(float(colours.std()), FLAT))
