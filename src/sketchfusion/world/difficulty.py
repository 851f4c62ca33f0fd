"""Parameters that make Sketch World harder or easier."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Difficulty:
    """Probabilities lie in [0, 1]; lengths are shares of the picture's side; angles are degrees.

    `spin`, `mirror` and `skew` set how far the viewpoints of photo and sketch differ; `occlusion`, `clutter`,
    `camouflage`, `noise` and `blur` degrade the photo; `errors` scales the errors of the hands that sketch, and
    `astray` is how far the viewpoint of a sketch of a photo moves from the photo's towards a random one, 0 to 1.
    """

    photo_fill: tuple[float, float] = (0.5, 0.86)
    sketch_fill: tuple[float, float] = (0.68, 0.9)
    off_centre: float = 0.08
    spin: float = 1.0
    mirror: float = 0.5
    skew: float = 0.12
    perspective: float = 0.16
    clutter: tuple[int, int] = (2, 8)
    occlusion: float = 0.4
    foreign_scene: float = 0.3
    camouflage: float = 0.3
    dusk: float = 0.3
    noise: tuple[float, float] = (2.0, 10.0)
    blur: tuple[float, float] = (0.0, 0.8)
    errors: float = 1.0
    astray: float = 0.4


DEFAULT = Difficulty()
