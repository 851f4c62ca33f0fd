"""Published class splits, and the rule of what is never seen as a sketch."""

from __future__ import annotations

import functools
import hashlib
import re
from collections.abc import Iterable
from importlib import resources

from .base import DatasetError, words_of

SPLITS = (
    "sketchy-21",
    "sketchy-25-sake",
    "sketchy-25-sempcyc",
    "tuberlin-30-sake",
    "tuberlin-30-sempcyc",
    "quickdraw-30",
)


def _lines(name: str) -> list[str]:
    text = resources.files(__package__).joinpath("data", f"{name}.txt").read_text(encoding="utf-8")
    return [line for line in text.splitlines() if line and not line.startswith("#")]


def split_names(split: str) -> tuple[str, ...]:
    """The unseen categories of a published split, spelt as published; their source heads the file in `data/`."""
    if split not in SPLITS:
        raise DatasetError(f"no split {split!r}; choose one of {', '.join(SPLITS)}")
    return tuple(_lines(split))


def unseen_of(categories: Iterable[str], split: str) -> list[str]:
    """Those of the categories that a published split keeps for testing, however their names are spelt; all sorted."""
    unseen = {plain_name(name) for name in split_names(split)}
    return sorted(name for name in categories if plain_name(name) in unseen)


def plain_name(name: str) -> str:
    """Spell a category the one way that compares: "car_(sedan)" -> "car", "Palm-Tree" -> "palm tree"."""
    return " ".join(words_of(re.sub(r"\(.*?\)", " ", name)))


def clean(name: str) -> str:
    """Spell a category as people write it, and as training does: "hot-air_balloon" -> "hot air balloon".

    What stands in brackets is kept: "car_(sedan)" -> "car sedan".
    """
    return " ".join(words_of(name))


def unseen_names() -> tuple[str, ...]:
    """The 21 categories never trained on as a sketch (Yelamarthi et al., ECCV 2018)."""
    return split_names("sketchy-21")


@functools.cache
def _table(name: str) -> dict[str, str]:
    pairs = (line.partition(":") for line in _lines(name))
    return {item.strip(): head for head, _, items in pairs for item in items.split(",")}


@functools.cache
def _terms() -> dict[str, str]:
    terms = {name: name for name in unseen_names()} | _table("unseen-synonyms")
    return terms | {term.replace(" ", ""): head for term, head in terms.items()}


def unseen_class(name: str) -> str | None:
    """Name the unseen category that `name` (a category or a WordNet id) belongs to, None if it is free to train on.

    Cautious on purpose: synonyms, kinds and near twins count, and so does any name that ends in one of them
    ("palm tree"), but for the few that are listed as something else ("wading bird").
    """
    if re.fullmatch(r"n\d{8}", name):
        return _table("unseen-wnids").get(name)
    words = plain_name(name).split()
    for start in range(len(words)):
        term = " ".join(words[start:])
        head = _terms().get(term) or _terms().get(term.removesuffix("s"))
        if head:
            return None if head == "-" else head
    return None


def is_unseen(name: str) -> bool:
    """Tell whether a category name or WordNet id must never be trained on as a sketch; see `unseen_class`."""
    return unseen_class(name) is not None


def held_out(photo_id: str) -> bool:
    """Keep about one photo in five, with all sketches of it, out of training: by a hash, the same everywhere."""
    return hashlib.sha256(photo_id.encode()).digest()[0] < 51
