"""The VAE's decoder alone: better pictures from the very same latents, so that all that stands on them still does."""

from __future__ import annotations

from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn

from ....backbones.mini import SIDE
from ..bank import PictureArray
from ..loop import Losses, Report, fit
from ..recipes import DecoderRecipe, shaping
from ..sources import Sources
from .store import load_part, save_half
from .vae import psnr


def pretrain_decoder(
    sources: Sources, recipe: DecoderRecipe, out: Path, start: Path | None, resume: bool, report: Report | None
) -> dict[str, float]:
    """Train the decoder of the VAE in `start` (or `out`) and write `out/sd/vae`; give PSNR (dB) before and after.

    Encoder and scaling factor are written as they were read, bit for bit.
    """
    vae = load_part((start or out) / "sd" / "vae").to(sources.device)
    before = _noted(vae, sources, out / "training" / "vae-decoder" / "before.txt", resume)
    photos, sketches = sources.sharp_photos(), sources.sketches()
    decoder = nn.ModuleDict({"post_quant_conv": vae.post_quant_conv, "decoder": vae.decoder})

    def loss_of(step: int, generator: Generator) -> Losses:
        lines = round(recipe.batch * recipe.sketch_share)
        pixels = torch.cat([_whole(photos, recipe.batch - lines, generator), _whole(sketches, lines, generator)])
        pixels = pixels * 2 - 1
        with torch.no_grad():
            latents = vae.encode(pixels).latent_dist.mean
        squared = (vae.decode(latents).sample - pixels).float().square().mean((1, 2, 3))
        # Every picture counts by its decibels; by its error alone, the busiest ones would be all that is learned.
        return {"loss": squared.clamp(min=1e-6).log().mean(), "squared": squared.mean()}

    average = fit(
        decoder, loss_of, recipe.schedule, out / "training" / "vae-decoder", resume, report, settings=shaping(recipe)
    )
    decoder.load_state_dict({**decoder.state_dict(), **average})
    save_half(vae.eval(), out / "sd" / "vae")
    return {"vae/psnr before": before, "vae/psnr": psnr(vae, sources.held_out_photos())}


def _whole(bank: PictureArray, count: int, generator: Generator) -> Tensor:
    """Whole pictures with random mirroring, (count, 3, SIDE, SIDE) in [0, 1].

    Whole ones, because the attention in the decoder's middle and its norms look at all of a picture.
    """
    pixels = F.interpolate(bank.draw(count, generator)[0], (SIDE, SIDE), mode="bilinear", antialias=True)
    mirrored = pixels.flip(-1) if torch.rand(1, generator=generator) < 0.5 else pixels
    return mirrored.expand(-1, 3, -1, -1)


def _noted(vae: nn.Module, sources: Sources, note: Path, resume: bool) -> float:
    """PSNR of the VAE as it was read; a resumed run, which may have written over it, reads its own note."""
    if not (resume and note.is_file()):
        note.parent.mkdir(parents=True, exist_ok=True)
        note.write_text(f"{psnr(vae.eval(), sources.held_out_photos())}\n")
    return float(note.read_text())
