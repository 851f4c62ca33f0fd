"""Full-size SD 2.1 and CLIP ViT-L/14 at random weights, against untouched copies: `pytest -m slow`.

Needs about 4 GB of disk in the temporary folder, less than 10 GB of memory and four minutes on two cores; `-s` prints
the differences.
"""

from __future__ import annotations

import gc
import resource
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import UNet2DConditionModel
from torch import Tensor
from transformers import CLIPVisionModelWithProjection

from fixtures.full_size import save_clip_l14, save_sd21
from sketchfusion.backbones.encoders import Stage
from sketchfusion.backbones.folders import load_clip, load_diffusion
from sketchfusion.features import FeaturesConfig, SketchFusion
from sketchfusion.models import load

pytestmark = pytest.mark.slow
TOLERANCE = 1e-4  # of activations of the order of 1 to 10
WANTED = ("down0", "down1", "down2", "down3", "mid", "up0", "up1", "up2")


@pytest.fixture(scope="module")
def sd21(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = save_sd21(tmp_path_factory.mktemp("full") / "sd21")
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def clip_l14(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = save_clip_l14(tmp_path_factory.mktemp("full") / "clip")
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(autouse=True)
def _little_memory() -> Iterator[None]:
    yield
    gc.collect()
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20 < 10


@pytest.mark.parametrize("side", [42, 60])
@torch.no_grad()
def test_stages_of_sd21_equal_those_of_an_untouched_unet(sd21: Path, side: int) -> None:
    noisy = torch.randn(1, 4, side, side, generator=torch.Generator().manual_seed(0))
    prompt = torch.randn(1, 77, 1024, generator=torch.Generator().manual_seed(1))
    expected: dict[str, Tensor] = {}
    plain = UNet2DConditionModel.from_pretrained(sd21, subfolder="unet", torch_dtype=torch.float32).eval()
    blocks = {f"down{i}": block for i, block in enumerate(plain.down_blocks)}
    blocks |= {"mid": plain.mid_block} | {f"up{i}": plain.up_blocks[i] for i in range(3)}
    for name, block in blocks.items():
        block.register_forward_hook(
            lambda _m, _i, output, name=name: expected.update(
                {name: (output[0] if isinstance(output, tuple) else output).clone()}
            )
        )
    plain(noisy, 195, prompt)
    del plain, blocks, block
    gc.collect()

    diffusion = load_diffusion(sd21)
    assert list(diffusion.stages.values())[-4:] == [
        Stage("up0", 1280, 32),
        Stage("up1", 1280, 16),
        Stage("up2", 640, 8),
        Stage("up3", 320, 8),
    ]
    got = diffusion(noisy, 195, WANTED, prompt=prompt)
    differences = {name: float((got[name] - expected[name]).abs().max()) for name in WANTED}
    print(f"max abs differences at {side} x {side} latents: {differences}")
    assert all(tuple(got[name].shape[-2:]) == diffusion.sizes((side, side))[name] for name in WANTED)
    assert float(got["up2"].std()) > 0.1
    assert max(differences.values()) <= TOLERANCE, differences


@torch.no_grad()
def test_tokens_of_clip_l14_equal_those_of_an_untouched_tower(clip_l14: Path) -> None:
    pixels = torch.rand(1, 3, 224, 224, generator=torch.Generator().manual_seed(0))
    clip = load_clip(clip_l14)
    got = {layer: clip(pixels, layer) for layer in (-1, -2)}
    mean, std = torch.tensor(clip.mean).view(3, 1, 1), torch.tensor(clip.std).view(3, 1, 1)
    del clip
    gc.collect()
    tower = CLIPVisionModelWithProjection.from_pretrained(clip_l14, dtype=torch.float32).eval()
    seen = tower((pixels - mean) / std, output_hidden_states=True)
    for layer, tokens in got.items():
        assert tokens.dense.shape == (1, 1024, 16, 16)
        difference = float((tokens.dense.flatten(2).mT - seen.hidden_states[layer][:, 1:]).abs().max())
        print(f"max abs difference of CLIP layer {layer}: {difference}")
        assert difference <= TOLERANCE
        assert float((tokens.pooled - seen.image_embeds).abs().max()) <= TOLERANCE


def test_full_size_features_of_a_picture(sd21: Path, clip_l14: Path) -> None:
    picture = np.random.default_rng(0).integers(0, 256, (300, 420, 3), dtype=np.uint8)
    model = SketchFusion.untrained(config=FeaturesConfig(str(sd21), str(clip_l14)))
    feature = model.extract(picture)[0]
    assert feature.data.shape == (1280, 60, 60) and bool(feature.data.isfinite().all())
    assert sum(parameter.numel() for parameter in model.model.light.parameters()) == 6_888_000 + 5_850_883
    del model
    gc.collect()
    untrained = load(f"{sd21}+{clip_l14}")
    assert untrained.embed(picture).shape == (1, 1280 + 1280 + 640 + 1024)
