"""The mini VAE: pixels to latents and back, by absolute and squared error with a little KL divergence."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Generator, Tensor, nn

from ....backbones.mini import build_vae
from ..bank import PictureArray
from ..loop import Losses, Report, fit
from ..recipes import VaeRecipe, shaping
from ..sources import Sources
from .store import load_part, save_half

if TYPE_CHECKING:
    from diffusers import AutoencoderKL


def pretrain_vae(
    sources: Sources, recipe: VaeRecipe, out: Path, start: Path | None, resume: bool, report: Report | None
) -> dict[str, float]:
    """Train the VAE, from the one in `start` if given, and write `out/sd/vae`; return the card's figures."""
    torch.manual_seed(recipe.schedule.seed)
    vae = load_part(start / "sd" / "vae") if start else build_vae()
    vae.to(sources.device)
    photos, sketches = sources.sharp_photos(), sources.sketches()

    def loss_of(step: int, generator: Generator) -> Losses:
        drawn = round(recipe.batch * recipe.sketch_share)
        crops = [
            _crops(bank, n, recipe.crop, generator) for bank, n in ((photos, recipe.batch - drawn), (sketches, drawn))
        ]
        pixels = torch.cat([of.expand(-1, 3, -1, -1) for of in crops]) * 2 - 1
        posterior = vae.encode(pixels).latent_dist
        noise = torch.randn(posterior.mean.shape, generator=generator).to(pixels.device)
        reconstruction = vae.decode(posterior.mean + posterior.std * noise).sample
        absolute = (reconstruction - pixels).abs().mean()
        squared = (reconstruction - pixels).square().mean()
        kl = posterior.kl().mean()
        return {"loss": absolute + squared + recipe.kl * kl, "absolute": absolute, "kl": kl}

    fit(vae, loss_of, recipe.schedule, out / "training" / "vae", resume, report, settings=shaping(recipe))
    vae.eval()
    spread = _latent_spread(vae, photos, torch.Generator().manual_seed(1))
    vae.register_to_config(scaling_factor=round(1 / spread, 5))
    save_half(vae, out / "sd" / "vae")
    return {"vae/psnr": _psnr(vae, sources.held_out_photos()), "vae/scaling_factor": vae.config.scaling_factor}


def _crops(bank: PictureArray, count: int, side: int, generator: Generator) -> Tensor:
    """Draw random crops with random mirroring, (count, C, side, side) in [0, 1]."""
    pixels, _ = bank.draw(count, generator)
    room = pixels.shape[-1] - side
    y, x = torch.randint(room + 1, (2, count), generator=generator)
    out = torch.stack([p[:, i : i + side, j : j + side] for p, i, j in zip(pixels, y, x, strict=True)])
    return out.flip(-1) if torch.rand(1, generator=generator) < 0.5 else out


@torch.no_grad()
def _latent_spread(vae: AutoencoderKL, bank: PictureArray, generator: Generator, count: int = 256) -> float:
    """Return the standard deviation of the latents of random photos."""
    pixels, _ = bank.draw(count, generator)
    means = [vae.encode(chunk * 2 - 1).latent_dist.mean for chunk in torch.split(pixels, 16)]
    return float(torch.cat(means).std())


@torch.no_grad()
def _psnr(vae: nn.Module, bank: PictureArray, count: int = 200) -> float:
    """Return the mean PSNR (dB) of reconstructions of the first `count` photos, decoded from the posterior's mean."""
    values = []
    for start in range(0, min(count, len(bank)), 10):
        pixels = bank.take(list(range(start, min(start + 10, len(bank)))))
        latents = vae.encode(pixels * 2 - 1).latent_dist.mean  # type: ignore[operator]
        reconstruction = (vae.decode(latents).sample / 2 + 0.5).clamp(0, 1)  # type: ignore[operator]
        values.append(-10 * (reconstruction - pixels).square().mean((1, 2, 3)).log10())
    return float(torch.cat(values).mean())
