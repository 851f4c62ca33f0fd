"""Parameters that make Sketch World harder or easier."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Difficulty:
    """How varied viewpoints are, how degraded photos and how inaccurate sketches; pairs are the lowest and the highest.

    Viewpoint, sampled for each photo and sketch: `photo_fill` and `sketch_fill` are the object's size and `off_centre`
    its largest shift, as shares of the picture's side; `spin` scales the category's largest rotation; `mirror` is the
    probability of mirroring; `skew` and `perspective` are the strengths of the distortions. A sketch made of a photo
    has the photo's viewpoint, moved by the share `astray` of the way to a random one.

    Photo: `clutter` counts objects in the background; `occlusion`, `foreign_scene` (any category's background),
    `camouflage` (a background tinted like the object) and `dusk` (underexposure) are probabilities; `noise` is a
    standard deviation in grey levels, and `blur` one in pixels of a photo of 128 x 128.

    Sketch: `errors` scales the errors of the simulated hand.
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
