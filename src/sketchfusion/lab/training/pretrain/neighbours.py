"""How a fresh vision tower starts: most heads look at the patch beside, as a convolution would.

A ViT on few pictures spends most of its training on finding out which patches are neighbours. Given that from the
start (Zheng et al., Structured Initialization for Attention in Vision Transformers, 2024; here through the position
codes, so that the model's class stays as it is), the same steps go into what the patches show.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

OFFSETS = (  # of each block's heads in turn, (x, y) patches; the last head of a block is left free
    ((1, 0), (-1, 0), (0, 1), (0, -1), (0, 0)),
    ((1, 1), (-1, -1), (1, -1), (-1, 1), (0, 0)),
    ((2, 0), (-2, 0), (0, 2), (0, -2), (0, 0)),
    ((1, 0), (-1, 0), (0, 1), (0, -1), (0, 0)),
)
STRENGTH = 5.0  # logit by which the patch looked at stands out


@torch.no_grad()
def look_at_neighbours(vision: Any) -> None:
    """Set patch embedding, position codes, queries and keys of a fresh `CLIPVisionModel` or `ViTModel` in place.

    The last channels of a token, as many as a head is wide, say where it is: cosines and sines of its column and row.
    A head's queries turn that code by its offset. The class token has no place, so it looks everywhere alike.
    """
    config = vision.config
    grid, width = config.image_size // config.patch_size, config.hidden_size
    head = width // config.num_attention_heads
    waves = torch.arange(1, head // 4 + 1) * math.pi / grid
    patches, seen_class, places = _embeddings(vision)
    torch.nn.init.normal_(patches, std=patches[0].numel() ** -0.5)
    patches[width - head :] = 0
    seen_class[..., width - head :] = 0
    places.zero_()
    for cell in range(grid * grid):
        places[1 + cell, width - head :] = _code(waves, cell % grid, cell // grid)
    scale = math.sqrt(STRENGTH * math.sqrt(head) / (2 * len(waves)))
    queries, keys = ([m.weight for n, m in vision.named_modules() if n.endswith(end)] for end in ("q_proj", "k_proj"))
    for block, (query, key) in enumerate(zip(queries, keys, strict=True)):
        for number, offset in enumerate(OFFSETS[block % len(OFFSETS)][: config.num_attention_heads - 1]):
            rows = slice(number * head, (number + 1) * head)
            query[rows], key[rows] = 0, 0
            query[rows, width - head :] = scale * _turn(waves, offset)
            key[rows, width - head :] = scale * torch.eye(head)


def _embeddings(vision: Any) -> tuple[Tensor, Tensor, Tensor]:
    """Weights of the patch embedding, the class token, and the places (1 + cells, width)."""
    of = vision.embeddings
    if vision.config.model_type == "vit":
        return of.patch_embeddings.projection.weight, of.cls_token, of.position_embeddings[0]
    return of.patch_embedding.weight, of.class_embedding, of.position_embedding.weight


def _code(waves: Tensor, x: int, y: int) -> Tensor:
    return torch.stack(
        [torch.cos(waves * x), torch.sin(waves * x), torch.cos(waves * y), torch.sin(waves * y)], 1
    ).flatten()


def _turn(waves: Tensor, offset: tuple[int, int]) -> Tensor:
    """The matrix that takes the code of a place to the code of the place `offset` from it."""
    blocks = [
        torch.tensor([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
        for wave in waves.tolist()
        for angle in (wave * offset[0], wave * offset[1])
    ]
    turned: Tensor = torch.block_diag(*blocks)  # type: ignore[no-untyped-call]
    return turned
