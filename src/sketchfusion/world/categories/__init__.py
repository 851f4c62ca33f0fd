"""The recipes, one family a file; importing this package fills the table of categories."""

from ..figure import CATEGORIES, Category
from . import animals, buildings, food_and_plants, small_animals, things, tools, vehicles

FAMILIES = (animals, buildings, food_and_plants, small_animals, things, tools, vehicles)

__all__ = ["CATEGORIES", "FAMILIES", "Category"]
