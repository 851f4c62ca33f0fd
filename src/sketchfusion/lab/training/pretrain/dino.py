"""The mini DINO: a ViT that teaches itself from photos alone, without names or sketches (Caron et al., DINO, 2021).

The student sees narrow and wide crops of a photo and says which prototypes they show; its answers follow those of the
teacher, its own moving average, on the other wide crops. The teacher's answers are centred, so that no prototype takes
all, and sharpened, so that they do not become even. Centred by a few rounds of Sinkhorn-Knopp over the batch, as DINOv2
does (Oquab et al., 2024): the moving mean of DINO itself was too slow for so short a training (docs/results/mini.md).
The teacher is what is kept; the heads are left behind.
"""

from __future__ import annotations

import json
import math
from copy import deepcopy
from pathlib import Path
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn

from ....backbones.catalog import IMAGENET_MEAN, IMAGENET_STD
from ....backbones.folders import load_dino
from ....backbones.mini import CLIP_SIDE, build_dino
from .. import augment
from ..bank import PictureArray
from ..loop import Losses, Report, fit
from ..recipes import DinoRecipe, shaping
from ..sources import Sources
from .neighbours import look_at_neighbours
from .store import save_half

if TYPE_CHECKING:
    from transformers import ViTModel


def pretrain_dino(
    sources: Sources, recipe: DinoRecipe, out: Path, start: Path | None, resume: bool, report: Report | None
) -> dict[str, float]:
    """Train a ViT, from that in `start` if given, and write `out/dino`; returns the model card's figures."""
    torch.manual_seed(recipe.schedule.seed)
    if start:
        vit = load_dino(start / "dino").model.requires_grad_(True)
    else:
        vit = build_dino()
        look_at_neighbours(vit)
    learner = Learner(vit, recipe).to(sources.device)
    crops = Crops(sources, recipe)

    def loss_of(step: int, generator: Generator) -> Losses:
        wide, narrow = crops.draw(step, generator)
        losses: Losses = learner(step, wide, narrow)
        return losses

    fit(learner.train(), loss_of, recipe.schedule, out / "training" / "dino", resume, report, settings=shaping(recipe))
    vit = learner.teacher.standardised()
    save_dino(vit, out)
    held_out = sources.held_out_photos()
    return figures(vit, held_out) if len(held_out) else {}


class Seer(nn.Module):
    """A ViT and the head that says of its class token how much of each prototype it shows."""

    def __init__(self, vit: ViTModel, recipe: DinoRecipe) -> None:
        super().__init__()
        self.vit = vit
        # At the start all tokens are alike; the batch's statistics let the head see what is not, from the first step.
        self.neck = nn.BatchNorm1d(vit.config.hidden_size, affine=False)
        self.project = nn.Sequential(
            nn.Linear(vit.config.hidden_size, recipe.hidden),
            nn.GELU(),
            nn.Linear(recipe.hidden, recipe.hidden),
            nn.GELU(),
            nn.Linear(recipe.hidden, recipe.bottleneck),
        )
        self.prototypes = nn.Parameter(0.02 * torch.randn(recipe.prototypes, recipe.bottleneck))

    def forward(self, crops: Tensor, fixed: bool = False) -> tuple[Tensor, Tensor]:
        """Crops (B, 3, S, S) in [0, 1] -> class tokens (B, C) and cosines with the prototypes (B, K)."""
        token = look(self.vit, crops)
        prototypes = self.prototypes.detach() if fixed else self.prototypes
        return token, F.normalize(self.project(self.neck(token)), dim=1) @ F.normalize(prototypes, dim=1).T

    @torch.no_grad()
    def standardised(self) -> ViTModel:
        """The ViT, its last norm changed so that class tokens are what the head was given: of mean 0 and variance 1."""
        norm, neck = self.vit.layernorm, self.neck
        assert neck.running_mean is not None and neck.running_var is not None
        scale = (neck.running_var + neck.eps).rsqrt()
        norm.bias.copy_((norm.bias - neck.running_mean) * scale)
        norm.weight.mul_(scale)
        return self.vit.eval()


class Learner(nn.Module):
    """Student and teacher; the teacher's weights are a buffer of the training, never trained."""

    def __init__(self, vit: ViTModel, recipe: DinoRecipe) -> None:
        super().__init__()
        self.recipe = recipe
        self.student = Seer(vit, recipe)
        self.teacher = deepcopy(self.student).requires_grad_(False)

    def forward(self, step: int, wide: Tensor, narrow: Tensor) -> Losses:
        """Wide crops (2, B, 3, S, S) and narrow ones (n, B, 3, s, s) -> the loss, and what a collapse would show in.

        `entropy` is that of the teacher's answers in nats, `used` that of their mean, `spread` the standard deviation
        of its normalised class tokens as a share of the largest possible. In a collapse either `entropy` comes to
        log(prototypes), or `used` or `spread` comes to 0.
        """
        recipe = self.recipe
        self._follow(step)
        with torch.no_grad():
            tokens, said = self.teacher(wide.flatten(0, 1))
            answers = centred(said.float() / recipe.teacher_temperature)
        fixed = step < recipe.fixed * recipe.schedule.steps
        guesses = [
            F.log_softmax(cosines / recipe.student_temperature, 1)
            for crops in (wide, narrow)
            if len(crops)
            for cosines in self.student(crops.flatten(0, 1), fixed)[1].chunk(len(crops))
        ]
        pairs = [
            -(answer * guess).sum(1).mean()
            for seen, answer in enumerate(answers.chunk(2))
            for other, guess in enumerate(guesses)
            if other != seen
        ]
        return {
            "loss": torch.stack(pairs).mean(),
            "entropy": _entropy(answers).mean(),
            "used": _entropy(answers.mean(0)),
            "spread": F.normalize(tokens, dim=1).var(0).sum().sqrt(),
        }

    @torch.no_grad()
    def _follow(self, step: int) -> None:
        """Move the teacher towards the student, ever more slowly."""
        done = step / max(1, self.recipe.schedule.steps)
        share = (1 - self.recipe.momentum) * (1 + math.cos(math.pi * done)) / 2
        for kept, weight in zip(self.teacher.parameters(), self.student.parameters(), strict=True):
            kept.lerp_(weight, share)


class Crops:
    """Wide and narrow crops of random photos."""

    def __init__(self, sources: Sources, recipe: DinoRecipe) -> None:
        self._recipe = recipe
        shares = (recipe.sharp_share, 1 - recipe.sharp_share)
        banks = [(bank, s) for bank, s in zip((sources.sharp_photos(), sources.small_photos()), shares, strict=True)]
        self._banks = [(bank, share) for bank, share in banks if len(bank)]
        if not self._banks:
            raise ValueError("no photos to learn from in " + ", ".join(map(str, sources.photo_roots)))

    def draw(self, step: int, generator: Generator) -> tuple[Tensor, Tensor]:
        """The crops of a step: (2, B, 3, S, S) and (n, B, 3, S / 2, S / 2)."""
        recipe = self._recipe
        side = recipe.side if step < recipe.full_size_after * recipe.schedule.steps else CLIP_SIDE
        whole = sum(share for _, share in self._banks)
        drawn = [bank.draw(round(recipe.batch * share / whole), generator)[0] for bank, share in self._banks]

        def crops(size: int, zoom: tuple[float, float]) -> Tensor:
            seen = torch.cat([augment.photos(photos, size, generator, zoom) for photos in drawn])
            return augment.disguise(seen, generator)

        wide = torch.stack([crops(side, recipe.wide_zoom) for _ in range(2)])
        # Narrow crops are cut at the full size and then halved: cut small, they would be stretched out of few pixels.
        narrow = [F.avg_pool2d(crops(side, recipe.narrow_zoom), 2) for _ in range(recipe.narrow)]
        return wide, torch.stack(narrow) if narrow else wide[:0]


def centred(scores: Tensor, rounds: int = 3) -> Tensor:
    """Scores (B, K) -> shares (B, K) of which every row sums to 1 and every column to about B / K."""
    for _ in range(rounds):
        scores = scores - scores.logsumexp(0, keepdim=True)
        scores = scores - scores.logsumexp(1, keepdim=True)
    return scores.exp()


def look(vit: ViTModel, pictures: Tensor) -> Tensor:
    """(B, 3, S, S) in [0, 1] -> class tokens (B, C) of the last block, normed."""
    mean, std = (pictures.new_tensor(values).view(1, 3, 1, 1) for values in (IMAGENET_MEAN, IMAGENET_STD))
    seen: Tensor = vit((pictures - mean) / std, interpolate_pos_encoding=True).last_hidden_state[:, 0]
    return seen


def save_dino(vit: ViTModel, out: Path) -> None:
    """Write `out/dino` as a DINO repository."""
    save_half(vit, out / "dino")
    side = vit.config.image_size
    preprocessing = {
        "image_processor_type": "ViTImageProcessor",
        "image_mean": list(IMAGENET_MEAN),
        "image_std": list(IMAGENET_STD),
        "size": {"height": side, "width": side},
    }
    (out / "dino" / "preprocessor_config.json").write_text(json.dumps(preprocessing, indent=2) + "\n")


@torch.no_grad()
def figures(vit: ViTModel, photos: PictureArray) -> dict[str, float]:
    """How often a photo's nearest other one shows the same thing; names are used for this measurement alone."""
    pictures = photos.take(list(range(len(photos))))
    small = F.interpolate(pictures, (CLIP_SIDE,) * 2, mode="bicubic", antialias=True).clamp(0, 1)
    tokens = F.normalize(torch.cat([look(vit, some) for some in torch.split(small, 64)]), dim=1)
    nearest = (tokens @ tokens.T).fill_diagonal_(-1).argmax(1).tolist()
    right = sum(photos.names[n][0] == photos.names[other][0] for n, other in enumerate(nearest))
    return {f"dino/nearest photo shows the same, held-out photos of {len(photos.by_name)} names": right / len(photos)}


def _entropy(shares: Tensor) -> Tensor:
    return -(shares * shares.clamp(min=1e-12).log()).sum(-1)
