"""SD-PL (Koley et al., CVPR 2024): a frozen Stable Diffusion, guided by a learned text and by a learned border."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..backbones.catalog import locate
from ..backbones.diffusion import FrozenDiffusion
from ..backbones.folders import embed_prompt, load_diffusion
from ..extractor import Seen, View, fingerprint_of, pick_device, pick_dtype, pooled, stack
from ..fusion import Centring, numbered
from ..io.weights import WeightsError, folder_hash, weights_hash
from ..saved import CONFIG, Heads, build, checked, load_into, read_trained, write_trained
from .sd import MOST_PIXELS, STAGES, paper_side, stages_on_grid
from .trained import TrainedBaseline

METHOD = "SD-PL"
COARSE, FINE = ("up0", "up1"), ("up2", "up3")
STAGES_OF = {"retrieval": COARSE, "recognition": COARSE, "instance-retrieval": FINE}  # B-SD's for all others
BORDER = 16 / MOST_PIXELS  # of the side


@dataclass(frozen=True)
class SdPlConfig:
    """How pictures become features."""

    diffusion: str  # catalog name, hub id or folder
    diffusion_hash: str
    task: str
    side: int  # pixels of the square
    border: int  # pixels
    stages: tuple[str, ...]
    timestep: int = 273
    ensemble: int = 6  # noise draws that are averaged; training sees one of them at a time


class Prompts(nn.Module):
    """All that is trained, and the centring it ends in: a text matrix (1, L, D) and a border for either kind.

    They start as the null prompt and as a border that is not there.
    """

    rim: Tensor

    def __init__(self, null_prompt: Tensor, side: int, border: int, width: int) -> None:
        """Make prompts for squares of `side` pixels and features of `width` channels."""
        super().__init__()
        rim = torch.ones(side, side, dtype=torch.bool)
        rim[border : side - border, border : side - border] = False
        self.register_buffer("rim", rim, persistent=False)
        self.text = nn.Parameter(null_prompt.detach().float().clone())
        self.border = nn.Parameter(torch.zeros(2, 3, int(rim.sum())))
        self.centring = Centring(width)

    def framed(self, squares: Tensor, kinds: Tensor) -> Tensor:
        """Add the border of its kind (B,) to each square (B, 3, S, S), on a smaller square a smaller border."""
        frames = self.border.new_zeros(2, 3, *self.rim.shape)
        frames[..., self.rim] = self.border
        if squares.shape[-2:] != self.rim.shape:
            frames = F.interpolate(frames, squares.shape[-2:], mode="area")
        return squares + frames[kinds]


class SdPlBaseline(TrainedBaseline):
    """Dense features are up stages at t = 273 under the learned prompts, unit length in every cell, concatenated.

    How the layers are joined and pooled is not published: it is as in B-SD, so that the two differ in prompts, stages,
    timestep and draws alone. The stages are the poster's: n = 1, 2 for categories, recognition included, and n = 3, 4
    for instances. It has no dense tasks; there the stages are B-SD's, n = 1, 2, 3, so that the prompts are what is
    compared. The border is 16 px of a square of 480, the same share of others, and lies on the square's rim, padding or
    not; what it makes of the pixels is not clamped.
    """

    def __init__(self, diffusion: FrozenDiffusion, config: SdPlConfig, name: str, device: torch.device) -> None:
        """Put new prompts before a loaded diffusion model; ValueError for stages that it does not have."""
        super().__init__(config.task)
        self.config, self.name, self.side, self.device = config, name, config.side, device
        self._dim = sum(diffusion.channels(config.stages).values())
        self.diffusion = diffusion.to(device)
        self.prompts = Prompts(diffusion.null_prompt, config.side, config.border, self._dim).eval().to(device)
        self.centring = self.prompts.centring
        self.caption: Tensor | None = None  # (1, L, D), in place of the learned text

    @classmethod
    def untrained(
        cls,
        diffusion: str,
        task: str = "retrieval",
        device: str | torch.device | None = None,
        dtype: torch.dtype | None = None,
    ) -> Self:
        """Make what training starts from, on a catalog name, hub id or folder."""
        device, folder = pick_device(device), locate(diffusion)
        frozen = load_diffusion(folder, pick_dtype(device, dtype))
        side = paper_side(frozen)
        stages, border = STAGES_OF.get(task, STAGES), max(1, round(side * BORDER))
        config = SdPlConfig(diffusion, folder_hash(folder), task, side, border, stages)
        return cls(frozen, config, f"{diffusion}:{METHOD}", device)

    @classmethod
    def load(
        cls, folder: str | Path, device: str | torch.device | None = None, dtype: torch.dtype | None = None
    ) -> Self:
        """Load what `save_pretrained` wrote; WeightsError when it is damaged or its frozen parts cannot be had."""
        device, folder = pick_device(device), Path(folder)
        written, state = read_trained(folder, "learned prompts")
        written.pop("method", None)
        config: SdPlConfig = build(SdPlConfig, written, folder / CONFIG)
        sd = locate(config.diffusion)
        checked(folder_hash(sd), config.diffusion_hash, sd)
        frozen = load_diffusion(sd, pick_dtype(device, dtype))
        try:
            model = cls(frozen, config, str(folder), device)
        except (ValueError, TypeError, RuntimeError) as error:
            raise WeightsError(f"the settings in {folder / CONFIG} do not fit: {error}") from error
        load_into(model.prompts, state, folder)
        model.heads = Heads.read(folder)
        return model

    def save_pretrained(self, folder: str | Path) -> None:
        """Write the prompts, the heads, and a configuration that names the frozen parts by place and hash."""
        self.heads.write(Path(folder))
        write_trained(Path(folder), {"method": METHOD, **asdict(self.config)}, self.prompts.state_dict())

    def guided(self, text: str) -> Self:
        """Give the model that sees pictures under a caption in place of the learned text (sketch + text retrieval).

        All weights are shared, and this model stays as it is. The features are meant to be compared with those under
        the learned text, so the fingerprint is the same.
        """
        other = copy(self)
        other.caption = embed_prompt(locate(self.config.diffusion), " ".join(text.split()))
        return other

    @property
    def fingerprint(self) -> str:
        """SHA-256 over what shapes the features, learned text included even where a caption stands in for it."""
        shaping = {key: value for key, value in asdict(self.config).items() if key not in ("diffusion", "task")}
        return fingerprint_of({"baseline": METHOD, "prompts": weights_hash(self.prompts), **shaping})

    @property
    def dim(self) -> int:
        """The length of an embedding: the stages' channels together."""
        return self._dim

    def maps(self, views: Sequence[View]) -> Tensor:
        """Give the centred features (B, C, g, g) of a batch of prepared pictures."""
        return self.look(views).maps

    def look(self, views: Sequence[View]) -> Seen:
        """Give these and their maxima of a batch of prepared pictures."""
        squares = stack([view.square for view in views], self.device)
        maps = self.stages(squares, numbered([view.kind for view in views]), range(self.config.ensemble))
        centred = self.centred(maps, views)
        return Seen(centred, pooled(centred, views))

    def stages(self, squares: Tensor, kinds: Tensor, seeds: Sequence[int]) -> Tensor:
        """Give the features (B, C, g, g), not centred, of squares (B, 3, S, S) of kinds (B,) under draws of noise."""
        latents = self.diffusion.encode(self.prompts.framed(squares, kinds.to(squares.device)) * 2 - 1)
        prompt = self.prompts.text if self.caption is None else self.caption.to(squares.device)
        return stages_on_grid(self.diffusion, latents, self.config.stages, self.config.timestep, seeds, prompt)
