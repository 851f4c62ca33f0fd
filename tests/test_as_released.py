"""What the authors' published code computes, rebuilt here from its description, against `preset="as-released"`.

The rebuilding knows nothing of the library: whole models run to the end, maps are added in place into what the blocks
return, every draw of the ensemble is a copy of the image in one batch. Weights are random.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import AutoencoderKL, DDIMScheduler, UNet2DConditionModel
from PIL import Image
from torch import Tensor
from torch.nn import functional as F
from transformers import CLIPTextModel, CLIPTokenizer, CLIPVisionModelWithProjection

from fixtures.oracles import aggregate_by_hand
from sketchfusion.backbones.catalog import CATALOG, OPENAI_STD, FusedCard
from sketchfusion.features import FeaturesConfig, SketchFusion, as_released
from sketchfusion.fusion import FusionConfig
from sketchfusion.lab.training.methods import Fused

SIDE, CLIP_SIDE, GRID, WIDTH = 336, 32, 12, 32
DRAWS = 2  # instead of 32, for time
SIZES = [21, 11, 6, 6, 11, 21, 42]  # of the seven places, for 42 x 42 latents
PLACES = ["down0", "down1", "down2", "down3", "up0", "up1", "up2"]


@dataclass
class Released:
    """The published pipeline on a pair of folders, with the light weights of a given model."""

    sd: Path
    clip: Path
    light: dict[str, Tensor]

    def sd_square(self, image: Image.Image) -> np.ndarray[Any, Any]:
        width, height = image.size
        canvas = np.zeros([SIDE, SIDE, 3], dtype=np.uint8)
        if height <= width:
            image = image.resize((SIDE, int(np.around(SIDE * height / width))), Image.Resampling.LANCZOS)
            rows = np.asarray(image).shape[0]
            canvas[(SIDE - rows) // 2 : (SIDE + rows) // 2] = np.asarray(image)
        else:
            image = image.resize((int(np.around(SIDE * width / height)), SIDE), Image.Resampling.LANCZOS)
            columns = np.asarray(image).shape[1]
            canvas[:, (SIDE - columns) // 2 : (SIDE + columns) // 2] = np.asarray(image)
        return canvas

    def clip_input(self, image: Image.Image) -> Tensor:
        width, height = image.size
        if width <= height:
            image = image.resize((CLIP_SIDE, int(CLIP_SIDE * height / width)), Image.Resampling.BICUBIC)
        else:
            image = image.resize((int(CLIP_SIDE * width / height), CLIP_SIDE), Image.Resampling.BICUBIC)
        left, top = round((image.width - CLIP_SIDE) / 2.0), round((image.height - CLIP_SIDE) / 2.0)
        pixels = np.asarray(image.crop((left, top, left + CLIP_SIDE, top + CLIP_SIDE))) / 255.0
        mean, std = np.array([0.4, 0.5, 0.6]), np.array(OPENAI_STD)
        return torch.tensor((pixels - mean) / std, dtype=torch.float32).permute(2, 0, 1)[None]

    def posterior(self, image: Image.Image) -> tuple[Tensor, Tensor]:
        """Mean and deviation of the latents: the VAE is fed 0..255."""
        vae = AutoencoderKL.from_pretrained(self.sd, subfolder="vae").eval()
        pixels = torch.from_numpy(self.sd_square(image)).float().permute(2, 0, 1)[None]
        assert pixels.max() > 200
        moments = vae.quant_conv(vae.encoder(pixels))
        mean, log_variance = moments.chunk(2, dim=1)
        return mean * 0.18215, (log_variance.clamp(-30, 20) / 2).exp() * 0.18215

    def tokens(self, image: Image.Image) -> Tensor:
        """Output of the last transformer block, before any norm, class token dropped: (1, C, n, n)."""
        vision = CLIPVisionModelWithProjection.from_pretrained(self.clip).eval().vision_model
        hidden = vision.pre_layrnorm(vision.embeddings(self.clip_input(image)))
        for block in vision.encoder.layers:
            hidden = block(hidden, attention_mask=None)
        side = int((hidden.shape[1] - 1) ** 0.5)
        return hidden[:, 1:].reshape(1, side, side, -1).permute(0, 3, 1, 2)

    def null_prompt(self) -> Tensor:
        words = CLIPTokenizer.from_pretrained(self.sd / "tokenizer")
        encoder = CLIPTextModel.from_pretrained(self.sd / "text_encoder").eval()
        ids = words("", padding="max_length", max_length=words.model_max_length, truncation=True, return_tensors="pt")
        return encoder(ids.input_ids)[0]

    def stages(self, latents: Tensor, noise: Tensor, tokens: Tensor) -> dict[str, Tensor]:
        """Latents and noise (draws, c, h, w) of one image through the whole UNet in one batch; averaged up stages."""
        unet = UNet2DConditionModel.from_pretrained(self.sd, subfolder="unet").eval()
        scheduler = DDIMScheduler.from_pretrained(self.sd, subfolder="scheduler")
        tapped: dict[str, Tensor] = {}

        def inject(place: str, size: int, output: Any) -> None:
            sample = output[0] if isinstance(output, tuple) else output
            weight, bias = (self.light[f"injection.convs.{place}.{name}"] for name in ("weight", "bias"))
            sample += F.interpolate(F.conv2d(tokens, weight, bias), size=(size, size), mode="bilinear")
            tapped[place] = sample.detach()

        blocks = [*unet.down_blocks, *unet.up_blocks[:3]]
        for place, size, block in zip(PLACES, SIZES, blocks, strict=True):
            block.register_forward_hook(lambda _m, _i, output, p=place, s=size: inject(p, s, output))
        noisy = scheduler.add_noise(latents, noise, torch.tensor(195).long())
        unet(noisy, 195, encoder_hidden_states=self.null_prompt().expand(len(latents), -1, -1))
        return {place: tapped[place].mean(dim=0, keepdim=True) for place in PLACES[4:]}

    def descriptor(self, stages: dict[str, Tensor]) -> Tensor:
        light = {name.removeprefix("aggregation."): value for name, value in self.light.items()}
        return F.normalize(aggregate_by_hand(light, stages, GRID, WIDTH), dim=1)


@pytest.fixture(scope="module")
def ours(sd_folder: Path, clip_folder: Path) -> SketchFusion:
    config = FeaturesConfig(str(sd_folder), str(clip_folder), side=SIDE, fusion=FusionConfig(grid=GRID, width=WIDTH))
    config = as_released(config)
    assert config.fusion.ensemble == 32
    torch.manual_seed(4)
    return SketchFusion.untrained(config=replace(config, fusion=replace(config.fusion, ensemble=DRAWS)))


@pytest.fixture(scope="module")
def theirs(ours: SketchFusion, sd_folder: Path, clip_folder: Path) -> Released:
    return Released(sd_folder, clip_folder, dict(ours.model.light.state_dict()))


def noise(width: int, height: int) -> Image.Image:
    generator = np.random.default_rng(0)
    return Image.fromarray(generator.integers(0, 256, (height, width, 3), dtype=np.uint8))


@pytest.fixture(scope="module")
def image() -> Image.Image:
    return noise(70, 51)


@pytest.mark.parametrize("kind", ["photo", "sketch"])
@pytest.mark.parametrize("size", [(70, 51), (51, 70), (64, 64), (801, 333)], ids=str)
def test_both_encoders_see_the_same_pixels(
    ours: SketchFusion, theirs: Released, size: tuple[int, int], kind: Any
) -> None:
    image = noise(*size)
    view = ours.prepare(image, kind)
    assert np.array_equal((view.square * 255).round().byte().permute(1, 2, 0), theirs.sd_square(image))
    low, high = ours.config.vae_range
    assert (low, high) == (0, 255)
    mean = torch.tensor([0.4, 0.5, 0.6]).view(3, 1, 1)
    normalised = (view.clip - mean) / torch.tensor(OPENAI_STD).view(3, 1, 1)
    assert torch.allclose(normalised[None], theirs.clip_input(image), atol=1e-5)


@torch.no_grad()
def test_latents_are_drawn_from_the_same_posterior_once_for_each_draw(
    ours: SketchFusion, theirs: Released, image: Image.Image
) -> None:
    mean, deviation = theirs.posterior(image)
    torch.manual_seed(0)
    latents = ours.encode(image).latents
    assert latents.shape == (1, DRAWS, 4, 42, 42)
    standard = (latents[0] - mean) / deviation
    assert abs(float(standard.mean())) < 0.03 and abs(float(standard.std()) - 1) < 0.03
    assert not torch.equal(latents, ours.encode(image).latents)


@torch.no_grad()
def test_tokens_are_those_of_the_last_block(ours: SketchFusion, theirs: Released, image: Image.Image) -> None:
    assert torch.allclose(ours.encode(image).tokens, theirs.tokens(image), atol=1e-5)


@torch.no_grad()
def test_every_stage_and_the_descriptors_agree(ours: SketchFusion, theirs: Released, image: Image.Image) -> None:
    """For latents and noise drawn once and given to both: the stages after injection, then the fused map."""
    mean, deviation = theirs.posterior(image)
    generator = torch.Generator().manual_seed(1)
    latents = mean + deviation * torch.randn((DRAWS, 4, 42, 42), generator=generator)
    noise = torch.randn((DRAWS, 4, 42, 42), generator=generator)
    expected = theirs.stages(latents, noise, theirs.tokens(image))
    tokens = ours.encode(image).tokens
    got = ours.model.stages(latents[None], tokens, noise[:, None])
    for place in PLACES[4:]:
        assert got[place].shape == expected[place].shape
        assert float((got[place] - expected[place]).abs().max()) < 2e-5, place
    fused = F.normalize(ours.model(latents[None], tokens, noise[:, None]), dim=1)
    assert float((fused - theirs.descriptor(expected)).abs().max()) < 2e-5


@torch.no_grad()
def test_a_default_model_with_the_same_weights_does_not_agree(
    ours: SketchFusion, theirs: Released, image: Image.Image, sd_folder: Path, clip_folder: Path
) -> None:
    """The comparison above can fail: the paper's intent differs from the released code at every stage."""
    config = FeaturesConfig(str(sd_folder), str(clip_folder), side=SIDE, fusion=FusionConfig(grid=GRID, width=WIDTH))
    intent = SketchFusion.untrained(config=config)
    intent.model.light.load_state_dict(ours.model.light.state_dict())
    tokens = ours.encode(image).tokens
    latents, noise = torch.randn(1, 4, 42, 42), torch.randn(1, 4, 42, 42)
    expected = theirs.stages(latents, noise, tokens)
    skips_untouched = intent.model.stages(latents, tokens, noise[None])
    assert all(float((skips_untouched[place] - expected[place]).abs().max()) > 1e-2 for place in PLACES[4:])


def test_noise_is_fresh_at_every_call(ours: SketchFusion, image: Image.Image) -> None:
    fusion = ours.config.fusion
    assert (fusion.timestep, fusion.noise_seed) == (195, None)
    first, second = ours.embed(image), ours.embed(image)
    assert not torch.equal(first, second)


def test_only_the_aggregation_trains(ours: SketchFusion) -> None:
    latents, tokens = torch.randn(1, 4, 8, 8), torch.randn(1, 32, 4, 4)
    ours.model.train()
    ours.model(latents, tokens).sum().backward()
    ours.model.eval()
    assert all(parameter.grad is None for parameter in ours.model.light.injection.parameters())
    assert all(parameter.grad is not None for parameter in ours.model.light.aggregation.parameters())
    ours.model.zero_grad()


def test_the_injection_starts_from_pytorchs_own_initialisation(ours: SketchFusion) -> None:
    bound = ours.clip.channels**-0.5  # kaiming-uniform with a = sqrt 5
    for conv in ours.model.light.injection.convs.values():
        weight = conv.weight.detach()
        assert float(weight.abs().max()) <= bound < 1.1 * float(weight.abs().max())
        assert ours.config.fusion.dropout == 0.5


def test_training_adds_nothing_of_clips_own_as_the_released_code(ours: SketchFusion, tmp_path: Path) -> None:
    ours.save_pretrained(tmp_path)
    for task in ("retrieval", "correspondence", "segmentation"):
        config = Fused.configure(str(tmp_path), task, {})
        assert (config.view, config.whole, config.dense, config.local) == ("as-released", 0, 0, False)


def test_the_catalogs_pair_names_what_was_published() -> None:
    card = CATALOG["released"]
    assert isinstance(card, FusedCard)
    assert (card.diffusion, card.clip, card.side, card.grid, card.width) == ("sd21-base", "clip-l14-336", 336, 60, 1280)
    assert card.preset == "as-released"
