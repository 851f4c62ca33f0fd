"""The recipes, one family a file; importing this package fills the table of categories."""

from ..figure import CATEGORIES, Category
from . import (
    beasts,
    birds,
    bugs,
    buildings,
    craft,
    food,
    furniture,
    music,
    openings,
    pets,
    plants,
    road,
    sea,
    things,
    tools,
    wear,
)

FAMILIES = (
    beasts, birds, bugs, buildings, craft, food, furniture, music,
    openings, pets, plants, road, sea, things, tools, wear,
)  # fmt: skip

__all__ = ["CATEGORIES", "FAMILIES", "Category"]
