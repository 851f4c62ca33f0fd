"""Initialisation of a ViT in which most heads attend to a neighbouring patch, as a convolution does.

On few pictures a ViT spends most of its training on learning which patches are neighbours. With this initialisation
(Zheng et al., Structured Initialization for Attention in Vision Transformers, 2024; here through the position
embeddings, so that the model class is unchanged) the same steps go into what the patches show.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

OFFSETS = (  # for each block, (x, y) in patches for each head but the last, which is left as it is
    ((1, 0), (-1, 0), (0, 1), (0, -1), (0, 0)),
    ((1, 1), (-1, -1), (1, -1), (-1, 1), (0, 0)),
    ((2, 0), (-2, 0), (0, 2), (0, -2), (0, 0)),
    ((1, 0), (-1, 0), (0, 1), (0, -1), (0, 0)),
)
STRENGTH = 5.0  # attention logit of the chosen neighbour above the others


@torch.no_grad()
def attend_to_neighbours(vision: Any) -> None:
    """Initialise patch and position embeddings, queries and keys of a `CLIPVisionModel` or `ViTModel` in place.

    The last channels of a token, as many as a head has, encode its position as cosines and sines of column and row; a
    head's queries rotate that code by the head's offset. The class token has no position and attends uniformly.
    """
    config = vision.config
    grid, width = config.image_size // config.patch_size, config.hidden_size
    head = width // config.num_attention_heads
    waves = torch.arange(1, head // 4 + 1) * math.pi / grid
    patches, class_token, positions = _embeddings(vision)
    torch.nn.init.normal_(patches, std=patches[0].numel() ** -0.5)
    patches[width - head :] = 0
    class_token[..., width - head :] = 0
    positions.zero_()
    for cell in range(grid * grid):
        positions[1 + cell, width - head :] = _code(waves, cell % grid, cell // grid)
    scale = math.sqrt(STRENGTH * math.sqrt(head) / (2 * len(waves)))
    queries, keys = ([m.weight for n, m in vision.named_modules() if n.endswith(end)] for end in ("q_proj", "k_proj"))
    for block, (query, key) in enumerate(zip(queries, keys, strict=True)):
        for number, offset in enumerate(OFFSETS[block % len(OFFSETS)][: config.num_attention_heads - 1]):
            rows = slice(number * head, (number + 1) * head)
            query[rows], key[rows] = 0, 0
            query[rows, width - head :] = scale * _rotation(waves, offset)
            key[rows, width - head :] = scale * torch.eye(head)


def _embeddings(vision: Any) -> tuple[Tensor, Tensor, Tensor]:
    """Return the patch embedding's weights, the class token and the position embeddings (1 + cells, width)."""
    embeddings = vision.embeddings
    if vision.config.model_type == "vit":
        return embeddings.patch_embeddings.projection.weight, embeddings.cls_token, embeddings.position_embeddings[0]
    return embeddings.patch_embedding.weight, embeddings.class_embedding, embeddings.position_embedding.weight


def _code(waves: Tensor, x: int, y: int) -> Tensor:
    return torch.stack(
        [torch.cos(waves * x), torch.sin(waves * x), torch.cos(waves * y), torch.sin(waves * y)], 1
    ).flatten()


def _rotation(waves: Tensor, offset: tuple[int, int]) -> Tensor:
    """Return the matrix that maps the code of a position to the code of the position `offset` from it."""
    blocks = [
        torch.tensor([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
        for wave in waves.tolist()
        for angle in (wave * offset[0], wave * offset[1])
    ]
    rotation: Tensor = torch.block_diag(*blocks)  # type: ignore[no-untyped-call]
    return rotation
