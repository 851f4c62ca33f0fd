"""A frozen Stable Diffusion as a feature extractor: VAE, noise, and the UNet as named stages.

The models are diffusers' own classes, untouched. Features are read, and CLIP is added to them, by forward
hooks on whole blocks, so no `forward` is copied and any UNet of the Stable Diffusion family fits.
"""

from collections.abc import Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from .encoders import Frozen, Stage

if TYPE_CHECKING:
    from diffusers import AutoencoderKL, DDIMScheduler, UNet2DConditionModel


class FrozenDiffusion(Frozen):
    """An unmodified VAE and UNet whose blocks can be read from, and added to, by name.

    Stages are `down0..`, `mid`, `up0..`; each is the output of that block of the UNet. The blocks carry hooks that do
    nothing outside `forward`. Epsilon- and v-prediction checkpoints work alike: they differ only in what the last
    layer means, which never runs.
    """

    def __init__(
        self, unet: "UNet2DConditionModel", vae: "AutoencoderKL", scheduler: "DDIMScheduler", null_prompt: Tensor
    ) -> None:
        """Wrap loaded parts; `null_prompt` is the embedding (1, L, D) of the empty prompt."""
        super().__init__()
        self.unet = unet
        self.vae = vae
        self.scheduler = scheduler
        self.register_buffer("null_prompt", null_prompt, persistent=False)
        self.null_prompt: Tensor
        self.latent_stride = 2 ** (len(vae.config.block_out_channels) - 1)
        blocks = _stages(unet, self.latent_stride)
        self.stages = {stage.name: stage for _, stage in blocks}
        self.freeze()
        for block, stage in blocks:
            block.register_forward_hook(partial(self._visit, stage.name))

    def checkpoint(self) -> None:
        """Compute most features anew in the backward pass instead of keeping them: less memory, more time."""
        self.unet.enable_gradient_checkpointing()
        self.vae.enable_gradient_checkpointing()

    @property
    def dtype(self) -> torch.dtype:
        return _dtype(self.unet)

    def encode(self, images: Tensor, draws: int | None = None) -> Tensor:
        """Compute scaled latents (B, c, h, w) of images (B, 3, H, W) in [-1, 1], or that many `draws` of each."""
        posterior = self.vae.encode(images.to(_dtype(self.vae))).latent_dist
        if draws is None:
            latents: Tensor = posterior.mode()
        else:
            latents = torch.stack([posterior.sample() for _ in range(draws)], dim=1)
        scale: float = self.vae.config.scaling_factor
        return latents * scale

    def posterior(self, images: Tensor) -> Tensor:
        """Compute what scaled latents are drawn from: their mean and, after it, their spread (B, 2 c, H/s, W/s)."""
        posterior = self.vae.encode(images.to(_dtype(self.vae))).latent_dist
        scale: float = self.vae.config.scaling_factor
        return torch.cat([posterior.mean, posterior.std], dim=1) * scale

    def noise(self, size: tuple[int, int], seed: int = 0) -> Tensor:
        """Draw standard noise (1, c, h, w), the same for every image; on the CPU, so that all devices agree."""
        generator = torch.Generator("cpu").manual_seed(seed)
        return torch.randn((1, self.unet.config.in_channels, *size), generator=generator)

    def add_noise(self, latents: Tensor, noise: Tensor, timestep: int) -> Tensor:
        """Diffuse latents (B, c, h, w) to step `timestep` with the checkpoint's own schedule, in float32."""
        steps = torch.tensor([timestep], device=latents.device)
        noise = noise.to(latents.device, torch.float32)
        noisy: Tensor = self.scheduler.add_noise(latents.float(), noise, steps)
        return noisy

    def channels(self, names: Sequence[str]) -> dict[str, int]:
        """Give the channels of the named stages; ValueError for an unknown name."""
        for name in names:
            if name not in self.stages:
                raise ValueError(f"no stage {name!r} in this UNet; it has {', '.join(self.stages)}")
        return {name: self.stages[name].channels for name in names}

    def sizes(self, size: tuple[int, int]) -> dict[str, tuple[int, int]]:
        """Give the (h, w) of every stage for latents of `size`; odd sizes round up, as the UNet's convolutions do."""
        factors = {name: stage.stride // self.latent_stride for name, stage in self.stages.items()}
        return {name: (-(-size[0] // factor), -(-size[1] // factor)) for name, factor in factors.items()}

    def forward(
        self,
        noisy: Tensor,
        timestep: int,
        wanted: Sequence[str],
        *,
        add: Mapping[str, Tensor] | None = None,
        add_to_skips: bool = False,
        prompt: Tensor | None = None,
    ) -> dict[str, Tensor]:
        """Run the UNet on noisy latents (B, c, h, w) up to the last wanted stage; blocks after it never run.

        `add` maps stage names to tensors (B, C, h, w) that are added, out of place, to the output of those stages
        before anything reads it. A down block also passes its last map to the skip connection: that copy stays as it
        is unless `add_to_skips`. `prompt` is (1 or B, L, D), the null prompt by default. Returns the wanted stages'
        maps (B, C, h, w) after any addition. Raises ValueError for an unknown stage.
        """
        add = add or {}
        self.channels((*wanted, *add))  # raises for a name that is no stage
        run = _Run(owner=self, remaining=set(wanted), add=add, add_to_skips=add_to_skips)
        prompt = self.null_prompt if prompt is None else prompt
        token = _RUN.set(run)
        device = noisy.device.type
        mixed = torch.is_autocast_enabled(device) and self.dtype == torch.float32  # else as it is served
        try:
            with torch.autocast(device, torch.get_autocast_dtype(device), enabled=mixed):
                self.unet(noisy.to(self.dtype), timestep, prompt.to(self.dtype).expand(len(noisy), -1, -1))
        except _AllReadError:
            pass
        finally:
            _RUN.reset(token)
        return {name: run.maps[name] for name in wanted}

    def _visit(self, name: str, block: nn.Module, inputs: tuple[Any, ...], output: Any) -> Any:
        """Add to, read and stop at one block: its forward hook."""
        run = _RUN.get()
        if run is None or run.owner is not self:
            return None
        hidden = output[0] if isinstance(output, tuple) else output
        addition = run.add.get(name)
        if addition is not None:
            hidden = hidden + addition.to(hidden.dtype)
        if name in run.remaining:
            run.maps[name] = hidden
            run.remaining.discard(name)
            if not run.remaining:
                raise _AllReadError
        if addition is None:
            return None
        if not isinstance(output, tuple):
            return hidden
        # A down block gives (hidden, skips), and the last skip is that same hidden tensor.
        skips = (*output[1][:-1], hidden) if run.add_to_skips else output[1]
        return hidden, skips


@dataclass
class _Run:
    """One pass through the UNet: stages still to read, tensors to add, maps read so far."""

    owner: FrozenDiffusion
    remaining: set[str]
    add: Mapping[str, Tensor]
    add_to_skips: bool
    maps: dict[str, Tensor] = field(default_factory=dict)


class _AllReadError(Exception):
    """Raised inside the UNet once the last wanted stage is read."""


# Per thread and task, so that a server may call one model from many threads.
_RUN: ContextVar[_Run | None] = ContextVar("sketchfusion_unet_run", default=None)


def _dtype(model: nn.Module) -> torch.dtype:
    """Give the type of a model's weights; diffusers' own property looks at every module each time."""
    return next(model.parameters()).dtype


def _stages(unet: "UNet2DConditionModel", stride: int) -> list[tuple[nn.Module, Stage]]:
    """List the UNet's blocks in the order in which they run, for latents of a stride."""
    widths, found = list(unet.config.block_out_channels), list[tuple[nn.Module, Stage]]()
    for index, block in enumerate(unet.down_blocks):
        stride *= 2 if block.downsamplers is not None else 1
        found.append((block, Stage(f"down{index}", widths[index], stride)))
    found.append((unet.mid_block, Stage("mid", widths[-1], stride)))
    for index, block in enumerate(unet.up_blocks):
        stride //= 2 if block.upsamplers is not None else 1
        found.append((block, Stage(f"up{index}", widths[-1 - index], stride)))
    return found
