"""The mini Stable Diffusion: a VAE, and the UNet that denoises its latents given a text (Rombach et al., 2022).

The VAE learns by absolute and squared error with a little KL divergence. The UNet decoder's inner maps are also aligned
with CLIP's dense tokens of the clean picture, which saves most of the steps that a denoiser otherwise needs to learn
what things look like (Yu et al., REPA, 2025).
"""

import json
import math
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import diffusers
import torch
import torch.nn.functional as F
import transformers
from diffusers import AutoencoderKL, DDIMScheduler, StableDiffusionPipeline, UNet2DConditionModel
from PIL import Image, ImageDraw
from torch import Generator, Tensor, nn
from transformers import CLIPTokenizer

from ....backbones.folders import SCHEDULE, load_clip, loading_errors, save_model
from ....backbones.mini import SIDE, build_text_encoder, build_unet, build_vae
from ....io.files import atomic_write
from ....io.images import Kind
from .. import augment
from ..bank import PictureArray, choose
from ..loop import Losses, Report, fit
from ..recipes import DiffusionRecipe, VaeRecipe, shaping
from ..sources import Sources
from .words import TEMPLATES, tokenizer_for

PROMPT: dict[Kind, str] = {"photo": "a photo of a {}", "sketch": "a sketch of a {}"}
PROMPTS = (  # of the samples
    *map(PROMPT["photo"].format, ("sunflower", "airplane", "motorbike", "goldfish")),
    *map(PROMPT["photo"].format, ("butterfly", "pizza", "strawberry", "sailboat")),
    *map(PROMPT["sketch"].format, ("cat", "car", "bicycle", "umbrella")),
)
VOCABULARY = 2048  # tokens
SAMPLES_BATCH = 20
SHARD = 15 * 2**20  # bytes of tensors; with its header a file stays below 16 MiB
GUIDANCE = 4.0


def pretrain_vae(
    sources: Sources, recipe: VaeRecipe, out: Path, start: Path | None, resume: bool, report: Report
) -> dict[str, float]:
    """Train the VAE, from the one in `start` if given, and write `out/sd/vae`; return the card's figures."""
    torch.manual_seed(recipe.schedule.seed)
    vae = load_part(start / "sd" / "vae") if start else build_vae()
    vae.to(sources.device)
    photos, sketches = sources.sharp_photos(), sources.sketches()

    def loss_of(step: int, generator: Generator) -> Losses:
        drawn = round(recipe.batch * recipe.sketch_share)
        sides = (photos, recipe.batch - drawn), (sketches, drawn)
        crops = [_crops(bank, count, recipe.crop, generator).expand(-1, 3, -1, -1) for bank, count in sides]
        pixels = torch.cat(crops) * 2 - 1
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
    return {"vae/psnr": _psnr(vae, sources.sharp_photos(True)), "vae/scaling_factor": vae.config.scaling_factor}


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


def pretrain_diffusion(
    sources: Sources, recipe: DiffusionRecipe, out: Path, start: Path | None, resume: bool, report: Report
) -> dict[str, float]:
    """Train the UNet and its text encoder on the latents of the VAE in `out`; write the rest of `out/sd`.

    The text encoder learns with the UNet, as in the first latent diffusion models (Rombach et al., 2022, section 4.3);
    it is not CLIP's. The UNet's maps are aligned with the tokens of the CLIP in `out`. UNet, text encoder and tokenizer
    are those in `start` if given. Returns the model card's figures.
    """
    torch.manual_seed(recipe.schedule.seed)
    vae = load_part(out / "sd" / "vae").eval().requires_grad_(False).to(sources.device)
    scheduler = DDIMScheduler(**SCHEDULE)
    teacher = load_clip(out / "clip").to(sources.device)
    banks = {"sharp": sources.sharp_photos(), "small": sources.small_photos(), "sketches": sources.sketches()}
    banks["world photos"], banks["world sketches"] = sources.world()
    if start:
        tokenizer = CLIPTokenizer.from_pretrained(start / "sd" / "tokenizer")
        unet, text = load_part(start / "sd" / "unet"), load_part(start / "sd" / "text_encoder")
    else:
        names = {name for bank in banks.values() for name in bank.by_name}
        texts = [template.format(name) for name in names for template in TEMPLATES]
        tokenizer = tokenizer_for(texts, out / "training" / "diffusion" / "tokenizer", resume, VOCABULARY)
        unet, text = build_unet(), build_text_encoder(tokenizer)
    alignment = FeatureAlignment(unet, teacher.channels)
    trained = nn.ModuleDict({"unet": unet, "text": text, "inner": alignment.heads}).to(sources.device)
    full_size = recipe.full_size_after * recipe.schedule.steps

    def denoising(latents: Tensor, texts: list[str], generator: Generator) -> Tensor:
        noise = torch.randn(latents.shape, generator=generator).to(latents.device)
        t = torch.randint(scheduler.config.num_train_timesteps, (len(latents),), generator=generator).to(latents.device)
        noisy = scheduler.add_noise(latents, noise, t)
        unique = sorted(set(texts))
        tokens = tokenizer(unique, padding="max_length", truncation=True, return_tensors="pt").to(text.device)
        states = text(input_ids=tokens.input_ids).last_hidden_state[[unique.index(one) for one in texts]]
        return F.mse_loss(unet(noisy, t, states).sample, noise)

    def loss_of(step: int, generator: Generator) -> Losses:
        pictures, names = draw_batch(banks, recipe, step < full_size, generator)
        blank = torch.rand(len(names), generator=generator) < recipe.no_text
        chosen = zip(names, blank, strict=True)
        texts = ["" if dropped else prompt.format(choose(of, generator)) for (prompt, of), dropped in chosen]
        denoised = denoising(encode(vae, pictures), texts, generator)
        with torch.no_grad():
            aligned = alignment.distance(teacher(pictures, side=recipe.align_side).dense)
        return {"loss": denoised + recipe.align * aligned, "denoising": denoised, "alignment": aligned}

    fit(trained, loss_of, recipe.schedule, out / "training" / "diffusion", resume, report, settings=shaping(recipe))
    trained.eval()
    save_half(unet, out / "sd" / "unet")
    save_half(text, out / "sd" / "text_encoder")
    tokenizer.save_pretrained(out / "sd" / "tokenizer")
    scheduler.save_pretrained(out / "sd" / "scheduler")
    pipeline = StableDiffusionPipeline(vae, text, tokenizer, unet, scheduler, None, None, requires_safety_checker=False)
    pipeline.save_config(out / "sd")  # the index that makes a repository of the folder, loadable as a pipeline
    held_out = sources.sharp_photos(kept_out=True)
    with torch.no_grad():
        check = torch.Generator().manual_seed(1)
        latents = encode(vae, held_out.take(list(range(0, len(held_out), max(1, len(held_out) // 100)))))
        losses = [denoising(latents, [""] * len(latents), check) for _ in range(4)]
    return {"diffusion/held-out loss, null prompt": float(torch.stack(losses).mean())}


class FeatureAlignment:
    """Alignment of the first two decoder blocks' maps with CLIP's dense tokens, through one linear map each."""

    def __init__(self, unet: UNet2DConditionModel, width: int) -> None:
        self._maps: dict[int, Tensor] = {}
        channels = list(reversed(unet.config.block_out_channels))[:2]
        self.heads = nn.ModuleList([nn.Conv2d(c, width, 1) for c in channels])
        for number in range(len(channels)):
            unet.up_blocks[number].register_forward_hook(partial(self._keep, number))

    def _keep(self, number: int, module: nn.Module, arguments: object, output: Tensor) -> None:
        self._maps[number] = output

    def distance(self, features: Tensor) -> Tensor:
        """Return the mean squared error of the last pass's maps to CLIP's (B, C, h, w), normalised per cell."""
        target = F.layer_norm(features.movedim(1, -1), features.shape[1:2]).movedim(-1, 1)
        errors = []
        for number, head in enumerate(self.heads):
            maps = self._maps.pop(number)
            size = min(maps.shape[-1], target.shape[-1])
            errors.append(F.mse_loss(F.adaptive_avg_pool2d(head(maps), size), F.adaptive_avg_pool2d(target, size)))
        return torch.stack(errors).mean()


def draw_batch(
    banks: dict[str, PictureArray], recipe: DiffusionRecipe, small: bool, generator: Generator
) -> tuple[Tensor, list[tuple[str, tuple[str, ...]]]]:
    """Draw pictures (B, 3, S, S) in [0, 1], mostly photos; of each the template of its prompt and its names."""
    side, count = (recipe.side, recipe.batch) if small else (SIDE, recipe.full_size_batch)
    sketches = max(1, round(count * recipe.sketch_share / 2))
    world = round(count * recipe.world_share)
    rest = count - 2 * sketches - world
    tiny = rest // 2 if small and len(banks["small"]) else 0
    shares = {"sharp": rest - tiny, "world photos": world, "sketches": sketches, "world sketches": sketches}
    batch, named = list[Tensor](), list[tuple[str, tuple[str, ...]]]()
    for name, number in (shares | ({"small": tiny} if tiny else {})).items():
        bank = banks[name]
        pictures, names = bank.draw(number, generator)
        if bank.kind == "photo":
            pictures = augment.warp(pictures, side, generator, zoom=(0.8, 1.0), degrees=0, stretch=0.05)
        else:
            pictures = augment.warp(pictures, side, generator, zoom=(0.95, 1.1), degrees=5).expand(-1, 3, -1, -1)
        batch.append(pictures)
        named += [(PROMPT[bank.kind], of) for of in names]
    return torch.cat(batch), named


@torch.no_grad()
def encode(vae: AutoencoderKL, pictures: Tensor) -> Tensor:
    """(B, 3, S, S) in [0, 1] -> scaled latents (B, 4, S/4, S/4), the mode of the posterior."""
    latents: Tensor = vae.encode(pictures * 2 - 1).latent_dist.mode() * vae.config.scaling_factor
    return latents


def draw_samples(sd: Path, out: Path, prompts: Sequence[str] = PROMPTS, seed: int = 0, steps: int = 25) -> None:
    """Draw prompts with diffusers' pipeline of the folder `sd`, captioned, as one image; WeightsError if it is none."""
    with loading_errors(sd):
        pipeline = StableDiffusionPipeline.from_pretrained(sd, torch_dtype=torch.float32, local_files_only=True)
    pipeline.set_progress_bar_config(disable=True)
    generator = torch.Generator().manual_seed(seed)
    pictures: list[Image.Image] = []
    for start in range(0, len(prompts), SAMPLES_BATCH):
        some = list(prompts[start : start + SAMPLES_BATCH])
        pictures += pipeline(some, num_inference_steps=steps, guidance_scale=GUIDANCE, generator=generator).images
    side, caption, columns = pictures[0].width, 14, 4
    rows = math.ceil(len(prompts) / columns)
    sheet = Image.new("RGB", (columns * (side + 4), rows * (side + caption)), "white")
    pen = ImageDraw.Draw(sheet)
    for number, (picture, prompt) in enumerate(zip(pictures, prompts, strict=True)):
        x, y = (number % columns) * (side + 4), (number // columns) * (side + caption)
        sheet.paste(picture, (x, y))
        pen.text((x + 2, y + side), prompt, fill="black")
    sheet.save(out)


def save_half(model: Any, folder: Path) -> None:
    """Save a model, which stays in fp32, as fp16 safetensors of at most 16 MiB each, in place of `folder`."""
    with atomic_write(folder) as draft:
        model.half()
        try:
            save_model(model, draft, max_shard_size=SHARD)
        finally:
            model.float()


def load_part(folder: Path) -> Any:
    """Load a model saved by `save_half`, in fp32; ValueError if there is none."""
    if not (folder / "config.json").is_file():
        raise ValueError(f"{folder} holds no model to start from")
    config = json.loads((folder / "config.json").read_text())
    name = config.get("_class_name") or config["architectures"][0]
    kind = getattr(diffusers, name, None) or getattr(transformers, name)
    return kind.from_pretrained(folder, torch_dtype=torch.float32)
