"""Sketch World: a procedural data set of photos and sketches with masks, keypoints and strokes."""

from .difficulty import Difficulty
from .world import SEEN, UNSEEN, Keypoint, Pair, Shot, World, export

__all__ = ["SEEN", "UNSEEN", "Difficulty", "Keypoint", "Pair", "Shot", "World", "export"]
