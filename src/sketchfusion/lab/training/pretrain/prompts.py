"""Names and prompts: what the text tower reads."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Generator

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


def prompt(name: str, generator: Generator) -> str:
    """`name` in a random template."""
    return TEMPLATES[int(torch.randint(len(TEMPLATES), (1,), generator=generator))].format(name)


def pick(names: tuple[str, ...], generator: Generator) -> str:
    """One of the names of a picture."""
    return names[int(torch.randint(len(names), (1,), generator=generator))]


def tokenizer_for(names: list[str], kept: Path, resume: bool) -> CLIPTokenizer:
    """A tokenizer that has read every name in every template; a resumed run takes up the one in `kept`.

    Learned anew it would differ: byte pairs that are equally frequent are merged in no certain order.
    """
    if resume and (kept / "tokenizer.json").is_file():
        from transformers import CLIPTokenizer

        read: CLIPTokenizer = CLIPTokenizer.from_pretrained(kept)
        return read
    tokenizer = build_tokenizer([template.format(name) for name in names for template in TEMPLATES])
    tokenizer.save_pretrained(kept)
    return tokenizer
