"""A dense feature map with the position of each of its cells in the original file.

Coordinates are continuous pixels: (0, 0) is the top left corner of the first pixel, its centre is (0.5, 0.5).
Cell coordinates are continuous in the same way.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Frame:
    """The mapping from a file's pixels to the letterboxed square: square_px = scale * file_px + offset."""

    width: int
    height: int
    side: int
    scale_x: float
    scale_y: float
    offset_x: float
    offset_y: float

    def to_square(self, points: Tensor) -> Tensor:
        """Convert file pixels x, y (N, 2) to square pixels."""
        points = _floating(points)
        scale = points.new_tensor((self.scale_x, self.scale_y))
        return points * scale + points.new_tensor((self.offset_x, self.offset_y))

    def to_file(self, points: Tensor) -> Tensor:
        """Convert square pixels x, y (N, 2) to file pixels."""
        points = _floating(points)
        scale = points.new_tensor((self.scale_x, self.scale_y))
        return (points - points.new_tensor((self.offset_x, self.offset_y))) / scale

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the file in pixels."""
        return self.width, self.height


@dataclass(frozen=True, repr=False)
class FeatureMap:
    """Features (C, h, w) on a grid over the square that `frame` describes."""

    data: Tensor
    frame: Frame
    joint: Tensor | None = None  # (P,) in the space that the model's CLIP shares with text; None without a CLIP
    local: Tensor | None = None  # (V, h', w') image vectors of the cells of CLIP's last map, for segmentation

    def __post_init__(self) -> None:
        if self.data.ndim != 3 or 0 in self.data.shape:
            raise ValueError(f"FeatureMap needs (C, h, w) features, not {tuple(self.data.shape)}")

    def __repr__(self) -> str:
        (channels, h, w), (width, height) = self.data.shape, self.frame.size
        return f"FeatureMap({channels} channels, {h}x{w} cells, of a picture of {width}x{height} pixels)"

    @property
    def shape(self) -> torch.Size:
        """The shape of the features, (C, h, w)."""
        return self.data.shape

    def __array__(self, dtype: npt.DTypeLike | None = None, copy: bool | None = None) -> npt.NDArray[Any]:
        """Give the features (C, h, w) to numpy, in float32 by default."""
        return np.array(self.data.detach().float().cpu().numpy(), dtype=dtype, copy=copy)

    @property
    def grid(self) -> tuple[int, int]:
        """Rows and columns of cells."""
        return self.data.shape[1], self.data.shape[2]

    def valid(self) -> Tensor:
        """Mark the cells (h, w) whose centre is on the image, not on padding; at least one is marked."""
        (h, w), frame = self.grid, self.frame
        rows = _inside(h, frame.side, frame.scale_y, frame.offset_y, frame.height)
        columns = _inside(w, frame.side, frame.scale_x, frame.offset_x, frame.width)
        return (rows[:, None] & columns).to(self.data.device)

    def to_cells(self, points: Tensor) -> Tensor:
        """Convert file pixels x, y (..., 2) to continuous cell coordinates x, y."""
        h, w = self.grid
        points = self.frame.to_square(points.to(self.data.device))
        return points * points.new_tensor([w / self.frame.side, h / self.frame.side])

    def to_pixels(self, cells: Tensor) -> Tensor:
        """Convert continuous cell coordinates x, y (..., 2) to file pixels x, y."""
        h, w = self.grid
        cells = _floating(cells.to(self.data.device))
        return self.frame.to_file(cells * cells.new_tensor([self.frame.side / w, self.frame.side / h]))

    def centres(self) -> Tensor:
        """Give the centres of the cells, row by row: (h * w, 2) file pixels x, y."""
        cells = torch.cartesian_prod(*map(torch.arange, self.grid)).flip(1)
        return self.to_pixels(cells.to(self.data.device) + 0.5)

    def sample(self, points: Tensor) -> Tensor:
        """Sample the features at (N, 2) file pixels, bilinear between valid cells, clamped at the border: (N, C)."""
        h, w = self.grid
        cells = self.to_cells(points).float()
        valid = self.valid().nonzero().flip(1)
        cells = cells.clamp(valid.amin(dim=0) + 0.5, valid.amax(dim=0) + 0.5)
        grid, data = 2 * cells / cells.new_tensor([w, h]) - 1, self.data.float()[None]
        out = F.grid_sample(data, grid[None, None], mode="bilinear", padding_mode="border", align_corners=False)
        return out[0, :, 0].T.to(self.data.dtype)

    def centred(self) -> "FeatureMap":
        """Subtract each channel's mean over the valid cells, so that parts of one picture differ more."""
        return replace(self, data=self.data - self.data[:, self.valid()].mean(dim=1)[:, None, None])

    def beside(self, other: "FeatureMap", weight: float) -> "FeatureMap":
        """Append a map of the same square on this grid; a cosine is then the mean of both, the second by `weight`."""
        data = F.interpolate(other.data.float()[None], self.grid, mode="bicubic", align_corners=False)[0]
        maps = [F.normalize(of.centred().data.float(), dim=0) for of in (self, replace(self, data=data))]
        return replace(self, data=torch.cat([maps[0], weight**0.5 * maps[1]]))

    def pooled(self) -> Tensor:
        """Global max pooling over the valid cells: (C,) (paper, section 6.1)."""
        return self.data[:, self.valid()].amax(dim=1)

    def cosine(self, vector: Tensor) -> Tensor:
        """Cosine (h, w) of every cell with a vector (C,)."""
        return torch.einsum("chw,c->hw", F.normalize(self.data, dim=0), F.normalize(vector, dim=0))

    def crop_to_image(self, size: tuple[int, int] | None = None) -> Tensor:
        """Sample the map at the pixels of the file, or of a raster of `size`, without padding: (C, rows, columns)."""
        height, width = size or (self.frame.height, self.frame.width)
        xs = (torch.arange(width) + 0.5) * (self.frame.width / width)
        ys = (torch.arange(height) + 0.5) * (self.frame.height / height)
        valid, data = self.valid(), self.data.float()
        left, right, across = _neighbours(self.to_cells(torch.stack([xs, xs], dim=1))[:, 0], valid.any(dim=0))
        top, bottom, down = _neighbours(self.to_cells(torch.stack([ys, ys], dim=1))[:, 1], valid.any(dim=1))
        rows = torch.lerp(data[:, :, left], data[:, :, right], across)
        return torch.lerp(rows[:, top], rows[:, bottom], down[:, None]).to(self.data.dtype)


def _neighbours(positions: Tensor, valid: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Give the valid cells before and after positions (N,) of an axis, and how far each lies from one to the other."""
    first, last = valid.nonzero()[[0, -1], 0].tolist()
    inner = (positions.float() - 0.5).clamp(first, last)
    before = inner.floor().long()
    return before, (before + 1).clamp(max=last), inner - before


def _inside(cells: int, side: int, scale: float, offset: float, size: int) -> Tensor:
    """Mark along one axis the cells whose centre is on the image, or if there are none the cell of its middle."""
    centres = (torch.arange(cells, dtype=torch.float64) + 0.5) * (side / cells)
    pixels = (centres - offset) / scale
    inside = (pixels > -1e-6) & (pixels < size + 1e-6)
    if not inside.any():
        middle = (scale * size / 2 + offset) * cells / side
        inside[min(max(int(middle), 0), cells - 1)] = True
    return inside


def _floating(points: Tensor) -> Tensor:
    return points if points.is_floating_point() else points.float()
