"""Names and prompts: what the text tower reads."""

from __future__ import annotations

import torch
from torch import Generator

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
