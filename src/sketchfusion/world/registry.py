"""The table of categories: a recipe, the split it belongs to, where it is found and how far it may be turned."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from .figure import Figure

Recipe = Callable[[Figure], None]


@dataclass(frozen=True)
class Category:
    """One kind of object. `spin` is the largest rotation in degrees; `scene` the surroundings of its photos."""

    name: str
    recipe: Recipe
    unseen: bool
    scene: str
    spin: float


CATEGORIES: dict[str, Category] = {}


def category(name: str, scene: str = "room", spin: float = 8.0, unseen: bool = False) -> Callable[[Recipe], Recipe]:
    """Enter a recipe in the table under a name."""

    def enter(recipe: Recipe) -> Recipe:
        CATEGORIES[name] = Category(name, recipe, unseen, scene, spin)
        return recipe

    return enter
