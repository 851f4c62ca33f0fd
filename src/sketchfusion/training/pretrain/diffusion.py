"""The mini diffusion model: denoise VAE latents under a text, as Stable Diffusion does (Rombach et al., 2022)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from sketchfusion.backbones.mini import SIDE, build_unet
from sketchfusion.training import augment
from sketchfusion.training.bank import Bank
from sketchfusion.training.loop import Losses, Report, fit
from sketchfusion.training.pretrain.clip import Names
from sketchfusion.training.pretrain.prompts import pick
from sketchfusion.training.pretrain.sources import Sources
from sketchfusion.training.pretrain.store import save_half, save_pipeline
from sketchfusion.training.recipes import DiffusionRecipe

if TYPE_CHECKING:
    from diffusers import AutoencoderKL
    from transformers import CLIPTextModel, CLIPTokenizer

PHOTO_PROMPT, SKETCH_PROMPT = "a photo of a {}", "a sketch of a {}"


def pretrain_diffusion(
    sources: Sources, recipe: DiffusionRecipe, out: Path, resume: bool, report: Report | None
) -> dict[str, float]:
    """Train the UNet on the VAE and the text tower that lie in `out`; write `out/sd/unet`; returns figures."""
    from diffusers import AutoencoderKL, DDIMScheduler

    torch.manual_seed(recipe.schedule.seed)
    vae = AutoencoderKL.from_pretrained(out / "sd" / "vae", torch_dtype=torch.float32).eval().requires_grad_(False)
    prompts = Prompts(out / "sd")
    scheduler = DDIMScheduler(
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        clip_sample=False,
        set_alpha_to_one=False,
    )
    unet = build_unet()
    mixture = Mixture(sources, recipe)
    full_size = recipe.full_size_after * recipe.schedule.steps

    def denoising(latents: Tensor, context: Tensor, generator: Generator) -> Tensor:
        noise = torch.randn(latents.shape, generator=generator)
        t = torch.randint(scheduler.config.num_train_timesteps, (len(latents),), generator=generator)
        noisy = scheduler.add_noise(latents, noise, t)
        return F.mse_loss(unet(noisy, t, context).sample, noise)

    def loss_of(step: int, generator: Generator) -> Losses:
        small = step < full_size
        pictures, names, kinds = mixture.batch(small, generator)
        dropped = torch.rand(len(names), generator=generator) < recipe.no_text
        texts = ["" if d else kind.format(pick(n, generator)) for n, kind, d in zip(names, kinds, dropped, strict=True)]
        return {"loss": denoising(encode(vae, pictures), prompts.embed(texts), generator)}

    average = fit(unet, loss_of, recipe.schedule, out / "training" / "diffusion", resume, report)
    unet.load_state_dict({**unet.state_dict(), **average})
    unet.eval()
    save_half(unet, out / "sd" / "unet")
    scheduler.save_pretrained(out / "sd" / "scheduler")
    save_pipeline(out / "sd")
    held_out = sources.held_out_photos()
    with torch.no_grad():
        check = torch.Generator().manual_seed(1)
        latents = encode(vae, held_out.take(list(range(0, len(held_out), max(1, len(held_out) // 200)))))
        loss = torch.stack([denoising(latents, prompts.embed([""] * len(latents)), check) for _ in range(4)])
    return {"diffusion/held-out loss, null prompt": float(loss.mean())}


class Prompts:
    """The frozen text tower: prompts to the states that the UNet attends to."""

    def __init__(self, sd: Path) -> None:
        from transformers import CLIPTextModel, CLIPTokenizer

        self._tokenizer: CLIPTokenizer = CLIPTokenizer.from_pretrained(sd / "tokenizer")
        encoder: Any = CLIPTextModel.from_pretrained(sd / "text_encoder", dtype=torch.float32)
        self._encoder: CLIPTextModel = encoder.eval().requires_grad_(False)
        self._known: dict[str, Tensor] = {}

    @torch.no_grad()
    def embed(self, texts: list[str]) -> Tensor:
        """Texts -> (N, tokens, width)."""
        new = sorted({text for text in texts if text not in self._known})
        if new:
            tokens = self._tokenizer(new, padding="max_length", truncation=True, return_tensors="pt")
            states = self._encoder(input_ids=tokens.input_ids).last_hidden_state
            self._known |= dict(zip(new, states, strict=True))
        return torch.stack([self._known[text] for text in texts])


class Mixture:
    """Batches for the denoiser: mostly photos."""

    def __init__(self, sources: Sources, recipe: DiffusionRecipe) -> None:
        self._recipe = recipe
        self._sharp, self._small = sources.sharp_photos(), sources.small_photos()
        self._sketches = sources.sketches()
        self._world_photos, self._world_sketches = sources.world()

    def batch(self, small: bool, generator: Generator) -> tuple[Tensor, Names, list[str]]:
        """Pictures (B, 3, S, S) in [0, 1], their names and their prompt templates."""
        recipe = self._recipe
        side, count = (recipe.side, recipe.batch) if small else (SIDE, recipe.full_size_batch)
        lines = max(1, round(count * recipe.sketch_share / 2))
        world = round(count * recipe.world_share)
        rest = count - 2 * lines - world
        tiny = rest // 2 if small and len(self._small) else 0
        drawn = [
            (*self._photos(self._sharp, rest - tiny, side, generator), PHOTO_PROMPT),
            (*self._photos(self._world_photos, world, side, generator), PHOTO_PROMPT),
            (*self._lines(self._sketches, lines, side, generator), SKETCH_PROMPT),
            (*self._lines(self._world_sketches, lines, side, generator), SKETCH_PROMPT),
        ]
        if tiny:
            drawn.append((*self._photos(self._small, tiny, side, generator), PHOTO_PROMPT))
        names = [n for _, of, _ in drawn for n in of]
        kinds = [kind for _, of, kind in drawn for _ in of]
        return torch.cat([pictures for pictures, _, _ in drawn]), names, kinds

    @staticmethod
    def _photos(bank: Bank, count: int, side: int, generator: Generator) -> tuple[Tensor, Names]:
        pictures, names = bank.draw(count, generator)
        return augment.warp(pictures, side, generator, zoom=(0.8, 1.0), degrees=0, stretch=0.05), names

    @staticmethod
    def _lines(bank: Bank, count: int, side: int, generator: Generator) -> tuple[Tensor, Names]:
        pictures, names = bank.draw(count, generator)
        pictures = augment.warp(pictures, side, generator, zoom=(0.95, 1.1), degrees=5)
        return pictures.expand(-1, 3, -1, -1), names


@torch.no_grad()
def encode(vae: AutoencoderKL, pictures: Tensor) -> Tensor:
    """(B, 3, S, S) in [0, 1] -> scaled latents (B, 4, S/4, S/4), the mode of the posterior."""
    latents: Tensor = vae.encode(pictures * 2 - 1).latent_dist.mode() * vae.config.scaling_factor
    return latents
