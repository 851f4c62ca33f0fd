"""The recipes of all categories; importing this package registers them in `CATEGORIES`."""

from ..figure import CATEGORIES, Category
from . import animals, buildings, food_and_plants, small_animals, things, vehicles

__all__ = ["CATEGORIES", "Category", "animals", "buildings", "food_and_plants", "small_animals", "things", "vehicles"]
