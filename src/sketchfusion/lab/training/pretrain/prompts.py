"""Names of pictures, prompts for the text encoders, and the tokenizer made of them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Generator, Tensor

from ....backbones.mini import build_tokenizer

if TYPE_CHECKING:
    from transformers import CLIPTokenizer


Names = list[tuple[str, ...]]  # of each picture of a batch

TEMPLATES = (
    "{}",
    "a {}",
    "a photo of a {}",
    "a picture of a {}",
    "a sketch of a {}",
    "a drawing of a {}",
)


def pick(names: tuple[str, ...], generator: Generator) -> str:
    """Return a random one of a picture's names."""
    return names[int(torch.randint(len(names), (1,), generator=generator))]


def tokenizer_for(names: list[str], kept: Path, resume: bool) -> CLIPTokenizer:
    """Make a tokenizer of every name in every template, saved in `kept`; a resumed run loads it from there.

    Made anew it would differ: equally frequent byte pairs are merged in no fixed order.
    """
    if resume and (kept / "tokenizer.json").is_file():
        from transformers import CLIPTokenizer

        loaded: CLIPTokenizer = CLIPTokenizer.from_pretrained(kept)
        return loaded
    tokenizer = build_tokenizer([template.format(name) for name in names for template in TEMPLATES])
    tokenizer.save_pretrained(kept)
    return tokenizer


def fitting(names: Names, texts: list[str], device: str | torch.device = "cpu") -> Tensor:
    """Return which texts are names of which pictures, (B, N) bool."""
    place = {text: n for n, text in enumerate(texts)}
    fits = torch.zeros(len(names), len(texts), dtype=torch.bool)
    for row, of in enumerate(names):
        fits[row, [place[name] for name in of if name in place]] = True
    return fits.to(device)


def as_shares(fits: Tensor) -> Tensor:
    """(B, N) bool -> (B, N), each row a uniform distribution over its true entries."""
    return fits.float() / fits.sum(1, keepdim=True)
