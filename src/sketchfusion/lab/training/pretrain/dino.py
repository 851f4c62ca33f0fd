"""The mini DINO: a ViT self-distilled on photos alone, without names or sketches (Caron et al., DINO, 2021).

From narrow and wide crops of a photo the student predicts the prototype assignments of the teacher, its own moving
average, for the other wide crops. The teacher's assignments are centred, so that no prototype takes all, and sharpened,
so that they do not become uniform. Centring is a few rounds of Sinkhorn-Knopp over the batch, as in DINOv2 (Oquab et
al., 2024): the moving mean of DINO itself was too slow for so short a training (docs/results/mini.md). The teacher's
ViT is saved, without the heads.
"""

import json
import math
from copy import deepcopy
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn
from transformers import ViTModel

from ....backbones.catalog import IMAGENET_MEAN, IMAGENET_STD
from ....backbones.encoders import normalise
from ....backbones.folders import load_dino
from ....backbones.mini import CLIP_SIDE, build_dino
from .. import augment
from ..bank import PictureArray
from ..loop import Losses, Report, fit
from ..losses import cosines
from ..recipes import DinoRecipe, shaping
from ..sources import Sources
from .diffusion import save_half

OFFSETS = (  # for each block, (x, y) in patches for each head but the last, which is left as it is
    ((1, 0), (-1, 0), (0, 1), (0, -1), (0, 0)),
    ((1, 1), (-1, -1), (1, -1), (-1, 1), (0, 0)),
    ((2, 0), (-2, 0), (0, 2), (0, -2), (0, 0)),
    ((1, 0), (-1, 0), (0, 1), (0, -1), (0, 0)),
)
Shares = list[tuple[PictureArray, float]]  # pictures, and what share of a batch they are
STRENGTH = 5.0  # attention logit of the chosen neighbour above the others


def pretrain_dino(
    sources: Sources, recipe: DinoRecipe, out: Path, start: Path | None, resume: bool, report: Report
) -> dict[str, float]:
    """Train a ViT, from that in `start` if given, and write `out/dino`; return the model card's figures."""
    torch.manual_seed(recipe.schedule.seed)
    if start:
        vit = load_dino(start / "dino").model.requires_grad_(True)
    else:
        vit = build_dino()
        attend_to_neighbours(vit)
    distillation = SelfDistillation(vit, recipe).to(sources.device)
    shares = (recipe.sharp_share, 1 - recipe.sharp_share)
    given = zip((sources.sharp_photos(), sources.small_photos()), shares, strict=True)
    banks = [(bank, share) for bank, share in given if len(bank)]
    if not banks:
        raise ValueError(f"no photos to learn from in {sources}")

    def loss_of(step: int, generator: Generator) -> Losses:
        losses: Losses = distillation(step, *draw_crops(banks, recipe, step, generator))
        return losses

    folder = out / "training" / "dino"
    fit(distillation.train(), loss_of, recipe.schedule, folder, resume, report, settings=shaping(recipe))
    vit = distillation.teacher.standardised()
    save_half(vit, out / "dino")
    preprocessing = {
        "image_processor_type": "ViTImageProcessor",
        "image_mean": list(IMAGENET_MEAN),
        "image_std": list(IMAGENET_STD),
        "size": {"height": vit.config.image_size, "width": vit.config.image_size},
    }
    (out / "dino" / "preprocessor_config.json").write_text(json.dumps(preprocessing, indent=2) + "\n")
    held_out = sources.sharp_photos(kept_out=True)
    return figures(vit, held_out) if len(held_out) else {}


class PrototypeViT(nn.Module):
    """A ViT and a head that compares its class token with prototypes."""

    def __init__(self, vit: ViTModel, recipe: DinoRecipe) -> None:
        super().__init__()
        self.vit = vit
        # Untrained tokens are nearly alike; batch norm makes their differences visible from the first step.
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
        token = class_tokens(self.vit, crops)
        prototypes = self.prototypes.detach() if fixed else self.prototypes
        return token, cosines(self.project(self.neck(token)), prototypes)

    @torch.no_grad()
    def standardised(self) -> ViTModel:
        """Return the ViT with batch norm folded into its last norm: class tokens of mean 0 and variance 1."""
        norm, neck = self.vit.layernorm, self.neck
        assert neck.running_mean is not None and neck.running_var is not None
        scale = (neck.running_var + neck.eps).rsqrt()
        norm.bias.copy_((norm.bias - neck.running_mean) * scale)
        norm.weight.mul_(scale)
        return self.vit.eval()


class SelfDistillation(nn.Module):
    """Student and teacher; the teacher's weights are a moving average and get no gradient."""

    def __init__(self, vit: ViTModel, recipe: DinoRecipe) -> None:
        super().__init__()
        self.recipe = recipe
        self.student = PrototypeViT(vit, recipe)
        self.teacher = deepcopy(self.student).requires_grad_(False)

    def forward(self, step: int, wide: Tensor, narrow: Tensor) -> Losses:
        """Wide crops (2, B, 3, S, S) and narrow ones (n, B, 3, s, s) -> the loss, and figures that reveal a collapse.

        `entropy` is that of the teacher's assignments in nats, `used` that of their mean, `spread` the standard
        deviation of its normalised class tokens as a share of the largest possible. In a collapse `entropy` goes to
        log(prototypes), or `used` or `spread` goes to 0.
        """
        recipe = self.recipe
        self._update_teacher(step)
        with torch.no_grad():
            tokens, alike = self.teacher(wide.flatten(0, 1))
            targets = centred(alike / recipe.teacher_temperature)
        fixed = step < recipe.fixed * recipe.schedule.steps
        predictions = [
            F.log_softmax(alike / recipe.student_temperature, 1)
            for crops in (wide, narrow)
            if len(crops)
            for alike in self.student(crops.flatten(0, 1), fixed)[1].chunk(len(crops))
        ]
        pairs = [
            -(target * prediction).sum(1).mean()
            for crop, target in enumerate(targets.chunk(2))
            for other, prediction in enumerate(predictions)
            if other != crop
        ]
        return {
            "loss": torch.stack(pairs).mean(),
            "entropy": _entropy(targets).mean(),
            "used": _entropy(targets.mean(0)),
            "spread": F.normalize(tokens, dim=1).var(0).sum().sqrt(),
        }

    @torch.no_grad()
    def _update_teacher(self, step: int) -> None:
        done = step / max(1, self.recipe.schedule.steps)
        share = (1 - self.recipe.momentum) * (1 + math.cos(math.pi * done)) / 2
        for average, weight in zip(self.teacher.parameters(), self.student.parameters(), strict=True):
            average.lerp_(weight, share)


def draw_crops(banks: Shares, recipe: DinoRecipe, step: int, generator: Generator) -> tuple[Tensor, Tensor]:
    """Draw wide and narrow crops of random photos, (2, B, 3, S, S) and (n, B, 3, S/2, S/2)."""
    side = recipe.side if step < recipe.full_size_after * recipe.schedule.steps else CLIP_SIDE
    total = sum(share for _, share in banks)
    drawn = [bank.draw(round(recipe.batch * share / total), generator)[0] for bank, share in banks]

    def crops(size: int, zoom: tuple[float, float]) -> Tensor:
        cropped = torch.cat([augment.photos(photos, size, generator, zoom) for photos in drawn])
        return augment.disguise(cropped, generator)

    wide = torch.stack([crops(side, recipe.wide_zoom) for _ in range(2)])
    # Cut at full size and then halved: cut at half size, they would be upsampled from few pixels.
    narrow = [F.avg_pool2d(crops(side, recipe.narrow_zoom), 2) for _ in range(recipe.narrow)]
    return wide, torch.stack(narrow) if narrow else wide[:0]


def centred(scores: Tensor, rounds: int = 3) -> Tensor:
    """Scores (B, K) -> assignments (B, K): rows sum to 1, columns to about B / K."""
    for _ in range(rounds):
        scores = scores - scores.logsumexp(0, keepdim=True)
        scores = scores - scores.logsumexp(1, keepdim=True)
    return scores.exp()


def class_tokens(vit: ViTModel, pictures: Tensor) -> Tensor:
    """(B, 3, S, S) in [0, 1] -> class tokens (B, C) of the last block, normed."""
    normalised = normalise(pictures, IMAGENET_MEAN, IMAGENET_STD)
    tokens: Tensor = vit(normalised, interpolate_pos_encoding=True).last_hidden_state[:, 0]
    return tokens


@torch.no_grad()
def figures(vit: ViTModel, photos: PictureArray) -> dict[str, float]:
    """Return how often a photo's nearest other photo has the same name; names are used for nothing else."""
    pictures = photos.take(list(range(len(photos))))
    small = F.interpolate(pictures, (CLIP_SIDE,) * 2, mode="bicubic", antialias=True).clamp(0, 1)
    tokens = F.normalize(torch.cat([class_tokens(vit, some) for some in torch.split(small, 64)]), dim=1)
    nearest = (tokens @ tokens.T).fill_diagonal_(-1).argmax(1).tolist()
    correct = sum(photos.names[n][0] == photos.names[other][0] for n, other in enumerate(nearest))
    return {f"dino/nearest photo shows the same, held-out photos of {len(photos.by_name)} names": correct / len(photos)}


def _entropy(shares: Tensor) -> Tensor:
    return -(shares * shares.clamp(min=1e-12).log()).sum(-1)


@torch.no_grad()
def attend_to_neighbours(vision: ViTModel) -> None:
    """Initialise patch and position embeddings, queries and keys in place.

    The last channels of a token, as many as a head has, encode its position as cosines and sines of column and row; a
    head's queries rotate that code by the head's offset. The class token has no position and attends uniformly.
    """
    config = vision.config
    grid, width = config.image_size // config.patch_size, config.hidden_size
    head = width // config.num_attention_heads
    waves = torch.arange(1, head // 4 + 1) * math.pi / grid
    patches = vision.embeddings.patch_embeddings.projection.weight
    class_token, positions = vision.embeddings.cls_token, vision.embeddings.position_embeddings[0]
    torch.nn.init.normal_(patches, std=patches[0].numel() ** -0.5)
    patches[width - head :] = 0
    class_token[..., width - head :] = 0
    positions.zero_()
    for cell in range(grid * grid):
        angles = [waves * place for place in (cell % grid, cell // grid)]
        code = torch.stack([part for angle in angles for part in (angle.cos(), angle.sin())], 1)
        positions[1 + cell, width - head :] = code.flatten()
    scale = math.sqrt(STRENGTH * math.sqrt(head) / (2 * len(waves)))
    queries, keys = ([m.weight for n, m in vision.named_modules() if n.endswith(end)] for end in ("q_proj", "k_proj"))
    for block, (query, key) in enumerate(zip(queries, keys, strict=True)):
        for number, offset in enumerate(OFFSETS[block % len(OFFSETS)][: config.num_attention_heads - 1]):
            rows = slice(number * head, (number + 1) * head)
            query[rows], key[rows] = 0, 0
            query[rows, width - head :] = scale * _rotation(waves, offset)
            key[rows, width - head :] = scale * torch.eye(head)


def _rotation(waves: Tensor, offset: tuple[int, int]) -> Tensor:
    """Return the matrix that maps the code of a position to the code of the position `offset` from it."""
    blocks = [
        torch.tensor([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
        for wave in waves.tolist()
        for angle in (wave * offset[0], wave * offset[1])
    ]
    rotation: Tensor = torch.block_diag(*blocks)  # type: ignore[no-untyped-call]
    return rotation
