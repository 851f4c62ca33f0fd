"""Parameters that make Sketch World harder or easier."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Difficulty:
    """How varied viewpoints are, how degraded photos and how rough sketches; pairs are the lowest and the highest."""

    photo_fill: tuple[float, float] = (0.5, 0.86)  # the object's longer side, as a share of the picture's
    sketch_fill: tuple[float, float] = (0.68, 0.9)  # the same of sketches
    off_centre: float = 0.08  # its largest shift, as a share of the picture's side
    spin: float = 1.0  # scales the category's largest rotation
    mirror: float = 0.5  # probability of mirroring
    skew: float = 0.12  # strength of the distortion
    perspective: float = 0.16  # likewise
    clutter: tuple[int, int] = (2, 8)  # objects in the background
    occlusion: float = 0.4  # probability of something in front of the object
    foreign_scene: float = 0.3  # probability of any category's background
    camouflage: float = 0.3  # probability of a background that is tinted like the object
    dusk: float = 0.3  # probability of underexposure
    noise: tuple[float, float] = (2.0, 10.0)  # standard deviation in grey levels
    blur: tuple[float, float] = (0.0, 0.8)  # standard deviation in pixels of a photo of 128 x 128
    errors: float = 1.0  # scales the errors of the simulated hand
    astray: float = 0.4  # how far a sketch of a photo is moved from the photo's viewpoint to a random one, as a share


DEFAULT = Difficulty()
