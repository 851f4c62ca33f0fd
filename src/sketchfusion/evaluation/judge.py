"""A judge of drawn pictures: a small CNN that has learned a few names from real photos and from nothing else."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from ..baselines.scratch import ScratchConfig, ScratchNet
from ..io.images import ImageInput, letterbox, read_image

SIDE = 64  # pixels of what it sees
STEPS, BATCH, RATE = 1200, 64, 3e-3
SHIFT = 6  # pixels


class Judge:
    """Names pictures with one of `names`."""

    def __init__(self, names: Sequence[str]) -> None:
        """Make one that has learned nothing yet."""
        self.names = list(names)
        self._net = ScratchNet(ScratchConfig(SIDE, widths=(16, 48, 96, 160), dim=len(self.names)))

    @classmethod
    def trained(
        cls,
        photos: Mapping[str, Sequence[Path]],
        steps: int = STEPS,
        seed: int = 0,
        progress: Callable[[int, int], None] | None = None,
    ) -> Judge:
        """Train one on photos by name, as many of each name in a batch as of any other; the same for a seed."""
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            judge = cls(list(photos))
        generator = torch.Generator().manual_seed(seed)
        net = judge._net.train()
        optimiser = torch.optim.AdamW(net.parameters(), lr=RATE, weight_decay=0.05)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, RATE, total_steps=steps)
        pools = list(photos.values())
        for step in range(steps):
            labels = torch.randint(len(pools), (BATCH,), generator=generator)
            chosen = [pools[n][int(torch.randint(len(pools[n]), (1,), generator=generator))] for n in labels.tolist()]
            loss = F.cross_entropy(net(_varied(_squares(chosen), generator)), labels, label_smoothing=0.1)
            optimiser.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            schedule.step()
            if progress:
                progress(step + 1, steps)
        net.eval()
        return judge

    @torch.no_grad()
    def name(self, pictures: Sequence[ImageInput]) -> list[str]:
        """The name of each picture."""
        chosen = [self._net(_squares(pictures[n : n + BATCH])).argmax(1) for n in range(0, len(pictures), BATCH)]
        return [self.names[n] for n in torch.cat(chosen).tolist()]


def _squares(pictures: Sequence[ImageInput]) -> Tensor:
    """(N, 3, SIDE, SIDE) in [0, 1]."""
    return torch.stack([letterbox(read_image(picture, "photo"), SIDE, "photo")[0] for picture in pictures])


def _varied(squares: Tensor, generator: Generator) -> Tensor:
    """The same, mirrored, shifted and, every second batch, softened: what is drawn is softer than what was taken."""
    mirrored, soft = (torch.rand(2, generator=generator) < 0.5).tolist()
    y, x = torch.randint(2 * SHIFT + 1, (2,), generator=generator).tolist()
    squares = F.pad(squares.flip(-1) if mirrored else squares, (SHIFT,) * 4, mode="replicate")
    squares = squares[..., y : y + SIDE, x : x + SIDE]
    return F.interpolate(F.avg_pool2d(squares, 2), (SIDE, SIDE), mode="bilinear") if soft else squares
