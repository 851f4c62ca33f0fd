"""A dense feature map that knows where in the original file each of its cells lies.

Coordinates are continuous pixels: (0, 0) is the top left corner of the first pixel, its centre is (0.5, 0.5).
Cells are counted in the same way.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor


@dataclass(frozen=True)
class Frame:
    """How a file's pixels lie in the letterboxed square: square_px = scale * file_px + offset."""

    width: int
    height: int
    side: int
    scale_x: float
    scale_y: float
    offset_x: float
    offset_y: float

    def to_square(self, points: Tensor) -> Tensor:
        """Move (N, 2) file pixels x, y into the square."""
        points = _floating(points)
        return points * points.new_tensor(self._scale) + points.new_tensor(self._offset)

    def to_file(self, points: Tensor) -> Tensor:
        """Move (N, 2) square pixels x, y back into the file."""
        points = _floating(points)
        return (points - points.new_tensor(self._offset)) / points.new_tensor(self._scale)

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the file in pixels."""
        return self.width, self.height

    @property
    def _scale(self) -> tuple[float, float]:
        return self.scale_x, self.scale_y

    @property
    def _offset(self) -> tuple[float, float]:
        return self.offset_x, self.offset_y


@dataclass(frozen=True)
class FeatureMap:
    """Features (C, h, w) on a grid over the square that `frame` describes.

    `joint` is the vector (P,) of the whole picture in the space that the model's CLIP shares with text, if it has one.
    """

    data: Tensor
    frame: Frame
    joint: Tensor | None = None

    def __post_init__(self) -> None:
        if self.data.ndim != 3 or 0 in self.data.shape:
            raise ValueError(f"FeatureMap needs (C, h, w) features, not {tuple(self.data.shape)}")

    @property
    def grid(self) -> tuple[int, int]:
        """Rows and columns of cells."""
        return self.data.shape[1], self.data.shape[2]

    def valid(self) -> Tensor:
        """Mark the cells (h, w) whose centre lies on the image, not on padding; always at least one."""
        h, w = self.grid
        frame = self.frame
        rows = _inside(h, frame.side, frame.scale_y, frame.offset_y, frame.height)
        columns = _inside(w, frame.side, frame.scale_x, frame.offset_x, frame.width)
        return (rows[:, None] & columns).to(self.data.device)

    def to_cells(self, points: Tensor) -> Tensor:
        """Move (..., 2) file pixels x, y to continuous cell coordinates x, y."""
        h, w = self.grid
        points = self.frame.to_square(points.to(self.data.device))
        return points * points.new_tensor([w / self.frame.side, h / self.frame.side])

    def to_pixels(self, cells: Tensor) -> Tensor:
        """Move (..., 2) continuous cell coordinates x, y to file pixels x, y."""
        h, w = self.grid
        cells = _floating(cells.to(self.data.device))
        return self.frame.to_file(cells * cells.new_tensor([self.frame.side / w, self.frame.side / h]))

    def centres(self) -> Tensor:
        """Give the middles of the cells, row by row: (h * w, 2) file pixels x, y."""
        h, w = self.grid
        rows, columns = torch.meshgrid(torch.arange(h), torch.arange(w), indexing="ij")
        return self.to_pixels(torch.stack([columns.flatten(), rows.flatten()], dim=1).to(self.data.device) + 0.5)

    def sample(self, points: Tensor) -> Tensor:
        """Read the features at (N, 2) file pixels, bilinear between the centres of valid cells: (N, C).

        Points beyond the outermost valid centres take the value there, so padding never leaks in.
        """
        h, w = self.grid
        cells = self.to_cells(points).float()
        valid = self.valid().nonzero().flip(1)
        cells = cells.clamp(valid.amin(dim=0) + 0.5, valid.amax(dim=0) + 0.5)
        grid = 2 * cells / cells.new_tensor([w, h]) - 1
        data = self.data.float()[None]
        out = F.grid_sample(data, grid[None, None], mode="bilinear", padding_mode="border", align_corners=False)
        return out[0, :, 0].T.to(self.data.dtype)

    def resize(self, h: int, w: int) -> FeatureMap:
        """Interpolate to (C, h, w), antialiased when smaller."""
        return replace(self, data=_interpolate(self.data, (h, w)))

    def normalised(self) -> FeatureMap:
        """Scale each cell's feature to unit length."""
        return replace(self, data=F.normalize(self.data, dim=0))

    def centred(self) -> FeatureMap:
        """Take off each channel's mean over the valid cells: what is left tells the parts of one picture apart."""
        return replace(self, data=self.data - self.data[:, self.valid()].mean(dim=1)[:, None, None])

    def pooled(self) -> Tensor:
        """Global max pooling over the valid cells: (C,) (SketchFusion, section 4)."""
        return self.data[:, self.valid()].amax(dim=1)

    def quartered(self) -> Tensor:
        """Max pooling over each quarter of the picture, padding left out: (4 C,), a channel's four in reading order."""
        rows, columns = (self.valid().any(dim=axis).nonzero() for axis in (1, 0))
        picture = self.data[:, rows.amin() : rows.amax() + 1, columns.amin() : columns.amax() + 1]
        return F.adaptive_max_pool2d(picture[None], 2).flatten()

    def cosine(self, other: FeatureMap | Tensor) -> Tensor:
        """Cosine of every cell with a vector (C,): (h, w); with every cell of a map: (h, w, h2, w2)."""
        mine = F.normalize(self.data, dim=0)
        if isinstance(other, FeatureMap):
            return torch.einsum("chw,cij->hwij", mine, F.normalize(other.data, dim=0))
        return torch.einsum("chw,c->hw", mine, F.normalize(other, dim=0))

    def crop_to_image(self, size: tuple[int, int] | None = None) -> Tensor:
        """Read the map at the centre of every pixel of the file, padding left out: (C, H, W).

        `size` (rows, columns) asks for a coarser or finer raster over the same picture than the file's own.
        """
        height, width = size or (self.frame.height, self.frame.width)
        xs = (torch.arange(width, device=self.data.device) + 0.5) * (self.frame.width / width)
        ys = (torch.arange(height, device=self.data.device) + 0.5) * (self.frame.height / height)
        points = torch.cartesian_prod(ys, xs).flip(1)
        return self.sample(points).T.reshape(-1, height, width)


def _inside(cells: int, side: int, scale: float, offset: float, size: int) -> Tensor:
    """Mark along one axis the cells whose centre is on the image, else the one its middle falls in."""
    centres = (torch.arange(cells, dtype=torch.float64) + 0.5) * (side / cells)
    pixels = (centres - offset) / scale
    inside = (pixels > -1e-6) & (pixels < size + 1e-6)
    if not inside.any():
        middle = (scale * size / 2 + offset) * cells / side
        inside[min(max(int(middle), 0), cells - 1)] = True
    return inside


def _floating(points: Tensor) -> Tensor:
    return points if points.is_floating_point() else points.float()


def _interpolate(data: Tensor, size: tuple[int, int]) -> Tensor:
    resized = F.interpolate(data.float()[None], size=size, mode="bilinear", align_corners=False, antialias=True)
    return resized[0].to(data.dtype)


# Retrieval: photos ranked by the cosine of their pooled feature with a sketch's.


Floats = npt.NDArray[np.float32]

# What a search says of its own answers, measured: is the thing there at all, do words or diffusion help?
#
# Each sketch is put to a gallery twice, with the photos of its category and without them. A false alarm is a photo of
# some confidence in the second. Galleries of several sizes and kinds are made of the same photos.


# What scoring a benchmark of retrieval costs: `sketchfusion bench metrics`.
#
# As many sketches and photos as the 21 unseen classes of Sketchy-extended have, the vectors made up. The reference
# takes
# one sketch after the other and reads each metric off the ranking as its definition says.


# What searching a large gallery costs: `sketchfusion bench search --rows 100000`.
#
# The vectors are made like real ones: photos and sketches of Sketch World are embedded by the model, and each further
# photo lies between two real ones of a category, moved aside by half of its way from the nearer one.


# What scores a gallery gives to a question by chance: the bulk of its photos does not show what is looked for.


# What is looked for: sketches, a photo, words, or several of these, as unit vectors in the spaces to be searched.


# How surely a photo shows what was looked for, from 0 to 1, with one meaning in every gallery and for every model.
#
# A gallery answers any question with some best photo. So questions that have nothing to do with it are put to it
# first,
# and the highest score that each of them gets is noted. The confidence of a photo is the share of them that it beats:
# with a cut at 0.9, one unrelated question in ten still gets an answer. No labels are needed.


# What a gallery keeps of a photo: one row, sealed with a digest of its own so that damage is seen.


# From files to rows: read, seen by the model, ready to be written.


# Questions that have nothing to do with a gallery, put to it to learn how high its photos score by chance.
#
# They are sketches of Sketch World and the names of what they show; for a question that is a photo, the gallery's own
# photos. The features of the former are kept beside the gallery, so that they are computed once.


# Near-duplicates: copies of one photo, resized, recompressed, brightened or slightly cropped, become one hit.
#
# Two photos are held to be copies when their features agree and their thumbnails, reduced to 8x8, do: the first keeps
# apart what only has the same colours in the same places (sky above sea), the second what only shows the same thing.
# The slow tests make such copies and count which are found.
