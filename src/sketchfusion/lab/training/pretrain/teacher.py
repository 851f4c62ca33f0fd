"""The teacher: a small CNN that learns the names first and then shows the mini models what to look at.

A CNN finds the strokes of a sketch in far fewer pictures than a ViT (docs/results/mini.md). What it has
learned passes on as dense features: to CLIP's vision tower by distillation (Touvron et al., DeiT, 2021; here by
regression of features, Wei et al., 2022), to the denoiser by alignment of its inner maps (Yu et al., REPA, 2025).
It is left behind after pretraining.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from ....baselines.scratch import ResidualBlock
from ..loop import Losses, Report, fit
from ..losses import contrast
from ..recipes import TeacherRecipe
from ..sources import Sources
from .mixture import Mixture, Naming, as_shares, fitting

STRIDES = (1, 2, 2, 1)  # of its stages, after a stem that halves the picture


class Teacher(nn.Module):
    """Pictures (B, 3, S, S) in [0, 1] to dense features (B, `width`, S / 8, S / 8), not negative."""

    def __init__(self, naming: Naming, widths: tuple[int, ...], depth: int) -> None:
        """Make stages of `depth` blocks and of `widths` channels."""
        super().__init__()
        first, last = widths[0], widths[-1]
        self.width = last
        self.stem = nn.Sequential(nn.Conv2d(3, first, 3, 2, 1, bias=False), nn.BatchNorm2d(first), nn.ReLU())
        self.blocks = nn.Sequential(
            *(
                block
                for before, width, stride in zip((first, *widths), widths, STRIDES, strict=False)
                for block in (
                    ResidualBlock(before, width, stride),
                    *(ResidualBlock(width, width, 1) for _ in range(depth - 1)),
                )
            )
        )
        # Without it every cosine is near 1 at the start, because no feature is negative, and a contrast sees nothing.
        self.neck = nn.BatchNorm1d(last, affine=False)
        self.naming = naming
        self.project = nn.Linear(last, 128)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, pictures: Tensor) -> Tensor:
        """The last block's features."""
        pictures = pictures.contiguous(memory_format=torch.channels_last)
        maps: Tensor = self.blocks(self.stem((pictures - 0.5) / 0.25))
        return maps

    def vector(self, maps: Tensor) -> Tensor:
        """(B, C, h, w) -> (B, C), each channel of mean 0 and variance 1 over the pictures."""
        vector: Tensor = self.neck(maps.mean((2, 3)))
        return vector


def train_teacher(sources: Sources, recipe: TeacherRecipe, out: Path, report: Report | None) -> Teacher:
    """Train a teacher on names and on what pictures of one name share; frozen and ready on return.

    CLIP and the denoiser share it: a teacher in `out`, finished or not, is gone on with.
    """
    small, large = Mixture(sources, recipe.mixture), Mixture(sources, recipe.full_size_mixture)
    torch.manual_seed(recipe.schedule.seed)
    naming = Naming(recipe.widths[-1], small)
    teacher = Teacher(naming, recipe.widths, recipe.depth).to(sources.device)
    vocabulary = small.vocabulary()
    full_size = recipe.full_size_after * recipe.schedule.steps

    def loss_of(step: int, generator: Generator) -> Losses:
        mixture, side = (small, recipe.side) if step < full_size else (large, recipe.full_side)
        pictures, names = mixture.batch(side, generator)
        vector, fits = teacher.vector(teacher(pictures)), fitting(names, vocabulary, sources.device)
        named = F.cross_entropy(teacher.naming(vector), as_shares(fits))
        alike = contrast(teacher.project(vector), fits.float() @ fits.float().T > 0, recipe.temperature)
        return {"loss": named + recipe.contrast * alike, "naming": named, "contrast": alike}

    # The moving average lags behind the running statistics of the batch norms; the last weights go with them.
    fit(teacher.train(), loss_of, recipe.schedule, out / "training" / "teacher", True, report)
    return teacher.eval().requires_grad_(False)
