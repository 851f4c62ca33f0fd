"""The frozen CLIP, DINO and DINOv2 against the libraries' own classes."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from PIL import Image
from torch import Tensor
from transformers import (
    CLIPImageProcessorPil,
    CLIPTextModelWithProjection,
    CLIPTokenizer,
    CLIPVisionModelWithProjection,
    Dinov2Model,
    ViTModel,
)

from sketchfusion.backbones.catalog import IMAGENET_MEAN, IMAGENET_STD, OPENAI_MEAN, OPENAI_STD
from sketchfusion.backbones.encoders import FrozenClip
from sketchfusion.backbones.folders import load_clip, load_dino
from sketchfusion.io.weights import WeightsError

MEAN = (0.4, 0.5, 0.6)  # of the fixture's preprocessor_config.json


@pytest.fixture(scope="module")
def clip(clip_folder: Path) -> FrozenClip:
    return load_clip(clip_folder)


def images(side: int, batch: int = 2) -> Tensor:
    return torch.rand(batch, 3, side, side, generator=torch.Generator().manual_seed(5))


def standardised(pixels: Tensor, mean: tuple[float, ...], std: tuple[float, ...]) -> Tensor:
    return torch.stack([(pixels[:, i] - mean[i]) / std[i] for i in range(3)], dim=1)


@torch.no_grad()
def block_outputs(folder: Path, pixels: Tensor) -> list[Tensor]:
    """Run the vision tower block by block; the k-th item is what block k gave, the 0-th what the first one got."""
    vision = CLIPVisionModelWithProjection.from_pretrained(folder).eval().vision_model
    hidden = [vision.pre_layrnorm(vision.embeddings(pixels))]
    for block in vision.encoder.layers:
        hidden.append(block(hidden[-1], attention_mask=None))
    return hidden


@pytest.mark.parametrize("layer", [-1, -2, -3, 0, 3])
def test_dense_tokens_are_those_of_the_layer_named(clip: FrozenClip, clip_folder: Path, layer: int) -> None:
    pixels = images(32)
    expected = block_outputs(clip_folder, standardised(pixels, MEAN, OPENAI_STD))[layer]
    dense = clip(pixels, layer).dense
    assert dense.shape == (2, 32, 4, 4)
    for row in range(4):
        for column in range(4):  # tokens run row by row after the class token
            assert torch.allclose(dense[:, :, row, column], expected[:, 1 + 4 * row + column], atol=1e-5)


def test_the_default_layer_is_the_penultimate(clip: FrozenClip) -> None:
    assert torch.equal(clip(images(32)).dense, clip(images(32), -2).dense)
    assert not torch.allclose(clip(images(32)).dense, clip(images(32), -1).dense, atol=1e-3)
    with pytest.raises(ValueError, match="3 blocks"):
        clip(images(32), -5)


def test_pooled_images_and_prompts_lie_in_clips_own_joint_space(clip: FrozenClip, clip_folder: Path) -> None:
    vision = CLIPVisionModelWithProjection.from_pretrained(clip_folder).eval()
    text = CLIPTextModelWithProjection.from_pretrained(clip_folder).eval()
    words = CLIPTokenizer.from_pretrained(clip_folder)
    prompts = ["a cat", "dog", "a dog and a cat and a dog and a cat and a dog and a cat"]
    with torch.no_grad():
        expected_image = vision(standardised(images(32), MEAN, OPENAI_STD)).image_embeds
        singles = [text(**words([p], return_tensors="pt", truncation=True)).text_embeds for p in prompts]
    assert torch.allclose(clip(images(32)).pooled, expected_image, atol=1e-5)
    assert torch.allclose(clip.text(prompts), torch.cat(singles), atol=1e-5)
    assert torch.equal(clip.text(["red \ud83d"]), clip.text(["red ?"]))  # an emoji that a field cut in two


def test_pixels_are_prepared_as_the_folders_processor_does(clip: FrozenClip, clip_folder: Path) -> None:
    """Down to the processor's 8-bit rounding, which a resize in float does not share."""
    generator = torch.Generator().manual_seed(1)
    noise = torch.rand(1, 3, 12, 12, generator=generator)
    smooth = torch.nn.functional.interpolate(noise, (96, 96), mode="bicubic").clamp(0, 1)
    array = (smooth[0] * 255).round().byte()
    processor = CLIPImageProcessorPil.from_pretrained(clip_folder)
    expected = processor(Image.fromarray(array.permute(1, 2, 0).numpy()), return_tensors="pt").pixel_values
    vision = CLIPVisionModelWithProjection.from_pretrained(clip_folder).eval()
    with torch.no_grad():
        expected_pooled = vision(expected).image_embeds
    got = clip(array[None].float() / 255).pooled
    assert torch.nn.functional.cosine_similarity(got, expected_pooled).item() > 0.9999


def test_other_sizes_interpolate_the_positions(clip: FrozenClip, clip_folder: Path) -> None:
    pixels = images(64)
    vision = CLIPVisionModelWithProjection.from_pretrained(clip_folder).eval()
    with torch.no_grad():
        seen = vision(standardised(pixels, MEAN, OPENAI_STD), output_hidden_states=True, interpolate_pos_encoding=True)
    got = clip(pixels, -1, side=64)
    assert got.dense.shape == (2, 32, 8, 8)
    assert torch.allclose(got.dense.flatten(2).transpose(1, 2), seen.hidden_states[-1][:, 1:], atol=1e-5)
    assert torch.allclose(got.pooled, seen.image_embeds, atol=1e-5)


def test_without_preprocessing_the_usual_statistics_are_used(clip_folder: Path, tmp_path: Path) -> None:
    for path in clip_folder.iterdir():
        if path.name != "preprocessor_config.json":
            (tmp_path / path.name).write_bytes(path.read_bytes())
    assert load_clip(clip_folder).mean == MEAN
    assert load_clip(tmp_path).mean == OPENAI_MEAN != MEAN


def test_train_does_not_wake_it(clip: FrozenClip) -> None:
    parent = torch.nn.Sequential(clip)
    parent.train()
    assert not any(module.training for module in clip.modules())
    assert not any(parameter.requires_grad for parameter in clip.parameters())


def test_dino_gives_the_last_blocks_normed_tokens(dino_folder: Path) -> None:
    dino, plain = load_dino(dino_folder, side=48), ViTModel.from_pretrained(dino_folder, add_pooling_layer=False).eval()
    pixels = images(48)
    with torch.no_grad():
        expected = plain(
            standardised(pixels, IMAGENET_MEAN, IMAGENET_STD), interpolate_pos_encoding=True
        ).last_hidden_state
    got = dino(pixels)
    assert torch.allclose(got.pooled, expected[:, 0], atol=1e-5)
    assert torch.allclose(got.dense.flatten(2).transpose(1, 2), expected[:, 1:], atol=1e-5)


def test_dinov2_gives_the_last_blocks_normed_tokens(dinov2_folder: Path) -> None:
    dino, plain = load_dino(dinov2_folder, side=48), Dinov2Model.from_pretrained(dinov2_folder).eval()
    pixels = images(48)
    with torch.no_grad():
        expected = plain(standardised(pixels, IMAGENET_MEAN, IMAGENET_STD)).last_hidden_state
    got = dino(pixels)
    assert got.dense.shape == (2, 32, 6, 6)
    assert torch.allclose(got.pooled, expected[:, 0], atol=1e-5)
    assert torch.allclose(got.dense.flatten(2).transpose(1, 2), expected[:, 1:], atol=1e-5)


def test_a_folder_of_another_model_is_refused(clip_folder: Path, dino_folder: Path, tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="clip, not DINO"):
        load_dino(clip_folder)
    with pytest.raises(WeightsError, match=str(dino_folder)):
        load_clip(dino_folder)
    with pytest.raises(WeightsError, match="missing"):
        load_clip(tmp_path / "nowhere")
