"""The teacher: a small CNN, trained on names, whose dense features the mini models learn.

A CNN learns to see the strokes of a sketch from far fewer pictures than a ViT (docs/results/mini.md). Its features are
passed on to CLIP's vision tower by distillation (Touvron et al., DeiT, 2021; here by feature regression, Wei et al.,
2022), and to the denoiser by alignment of its inner maps (Yu et al., REPA, 2025). It is not part of the model.
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

STRIDES = (1, 2, 2, 1)  # of the stages, after a stem that halves the picture


class Teacher(nn.Module):
    """Pictures (B, 3, S, S) in [0, 1] -> dense features (B, `width`, S / 8, S / 8), non-negative."""

    def __init__(self, naming: Naming, widths: tuple[int, ...], depth: int) -> None:
        """Make stages of `depth` blocks with `widths` channels."""
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
        # Without it all cosines are near 1 at first, because features are non-negative, and a contrast has no signal.
        self.neck = nn.BatchNorm1d(last, affine=False)
        self.naming = naming
        self.project = nn.Linear(last, 128)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, pictures: Tensor) -> Tensor:
        """Return the last block's features."""
        pictures = pictures.contiguous(memory_format=torch.channels_last)
        maps: Tensor = self.blocks(self.stem((pictures - 0.5) / 0.25))
        return maps

    def vector(self, maps: Tensor) -> Tensor:
        """(B, C, h, w) -> pooled features (B, C), each channel with mean 0 and variance 1 over the pictures."""
        vector: Tensor = self.neck(maps.mean((2, 3)))
        return vector


def train_teacher(sources: Sources, recipe: TeacherRecipe, out: Path, report: Report | None) -> Teacher:
    """Train a teacher by classification and contrast of names, and return it frozen.

    CLIP and the denoiser share it: a teacher in `out`, finished or not, is resumed.
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
        contrastive = contrast(teacher.project(vector), fits.float() @ fits.float().T > 0, recipe.temperature)
        return {"loss": named + recipe.contrast * contrastive, "naming": named, "contrast": contrastive}

    fit(teacher.train(), loss_of, recipe.schedule, out / "training" / "teacher", True, report)
    return teacher.eval().requires_grad_(False)
