"""A Stable Diffusion in one file becomes a folder in the hub's layout, bit for bit and without the network."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from safetensors.torch import save_file
from torch import Tensor
from transformers import CLIPTextConfig, CLIPTextModel

from fixtures.tiny import VAE
from sketchfusion.backbones.folders import convert_single_file, embed_prompt, load_diffusion
from sketchfusion.cli import app, terminal
from sketchfusion.io.weights import WeightsError

WIDTHS = (32, 64, 128, 128)
RESNET = {
    "norm1": "in_layers.0",
    "conv1": "in_layers.2",
    "norm2": "out_layers.0",
    "conv2": "out_layers.3",
    "time_emb_proj": "emb_layers.1",
    "conv_shortcut": "skip_connection",
}
UNET_NAMES = {
    "time_embedding.linear_1": "time_embed.0",
    "time_embedding.linear_2": "time_embed.2",
    "conv_in": "input_blocks.0.0",
    "conv_norm_out": "out.0",
    "conv_out": "out.2",
}
OPEN_CLIP = {"layer_norm1": "ln_1", "layer_norm2": "ln_2", "mlp.fc1": "mlp.c_fc", "mlp.fc2": "mlp.c_proj"}


def unet_name(name: str) -> str:
    """The name that CompVis's code gives to a tensor of a UNet of diffusers' with two layers a block."""
    for ours, theirs in UNET_NAMES.items():
        if name.startswith(ours):
            return name.replace(ours, theirs)
    kind, part, place, rest = re.fullmatch(r"(?:(down|up)_blocks\.(\d)|mid_block)\.(.+?\.\d)\.(.+)", name).groups()  # type: ignore[union-attr]
    what, number = place.split(".")
    if what == "resnets":
        for ours, theirs in RESNET.items():
            rest = rest.replace(ours, theirs)
    if kind is None:
        return f"middle_block.{2 * int(number) if what == 'resnets' else 1}.{rest}"
    first = 3 * int(part)
    if what == "downsamplers":
        return f"input_blocks.{first + 3}.0.{rest.replace('conv', 'op')}"
    if what == "upsamplers":
        return f"output_blocks.{first + 2}.{1 if part == '0' else 2}.{rest}"
    block = f"input_blocks.{first + int(number) + 1}" if kind == "down" else f"output_blocks.{first + int(number)}"
    return f"{block}.{0 if what == 'resnets' else 1}.{rest}"


def vae_name(name: str) -> str:
    for pattern, theirs in (
        (r"conv_shortcut", "nin_shortcut"),
        (r"conv_norm_out", "norm_out"),
        (r"mid_block\.attentions\.0", "mid.attn_1"),
        (r"group_norm", "norm"),
        (r"to_out\.0", "proj_out"),
        (r"to_([qkv])", r"\1"),
        (r"down_blocks\.(\d)\.resnets\.(\d)", r"down.\1.block.\2"),
        (r"down_blocks\.(\d)\.downsamplers\.0", r"down.\1.downsample"),
        (r"up_blocks\.(\d)\.resnets\.(\d)", lambda of: f"up.{3 - int(of[1])}.block.{of[2]}"),
        (r"up_blocks\.(\d)\.upsamplers\.0", lambda of: f"up.{3 - int(of[1])}.upsample"),
        (r"mid_block\.resnets\.(\d)", lambda of: f"mid.block_{int(of[1]) + 1}"),
    ):
        name = re.sub(pattern, theirs, name)
    return name


def text_tensors(state: dict[str, Tensor], second: bool) -> dict[str, Tensor]:
    state = {name.removeprefix("text_model."): tensor for name, tensor in state.items()}
    if not second:
        return {f"cond_stage_model.transformer.text_model.{name}": tensor for name, tensor in state.items()}
    found: dict[str, Tensor] = {}
    for name, tensor in state.items():
        layer = name.replace("encoder.layers.", "transformer.resblocks.")
        for ours, theirs in OPEN_CLIP.items():
            layer = layer.replace(ours, theirs)
        if "q_proj" in name:
            parts = [state[name.replace("q_proj", part)] for part in ("q_proj", "k_proj", "v_proj")]
            layer = re.sub(r"self_attn\.q_proj\.(weight|bias)", r"attn.in_proj_\1", layer)
            tensor = torch.cat(parts)
        elif "k_proj" in name or "v_proj" in name:
            continue
        layer = layer.replace("self_attn.out_proj", "attn.out_proj").replace("final_layer_norm", "ln_final")
        layer = layer.replace("embeddings.token_embedding", "token_embedding")
        found[layer.replace("embeddings.position_embedding.weight", "positional_embedding")] = tensor
    return {f"cond_stage_model.model.{name}": tensor for name, tensor in found.items()}


def single_file(path: Path, second: bool) -> dict[str, Any]:
    """Write a narrow Stable Diffusion of version 1 or 2 in one file; give the models in it."""
    torch.manual_seed(4)
    heads: Any = (1, 1, 2, 2) if second else 8
    text = CLIPTextConfig(
        vocab_size=49408,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=1,
        hidden_act="gelu" if second else "quick_gelu",
        eos_token_id=49407,
    )
    models = {
        "unet": UNet2DConditionModel(
            block_out_channels=WIDTHS,
            cross_attention_dim=32,
            attention_head_dim=heads,
            use_linear_projection=second,
        ),
        "vae": AutoencoderKL(**{**VAE, "block_out_channels": WIDTHS, "layers_per_block": 2, "norm_num_groups": 32}),
        "text_encoder": CLIPTextModel(text),
    }
    unet, vae = models["unet"].state_dict(), models["vae"].state_dict()
    state = {f"model.diffusion_model.{unet_name(name)}": tensor for name, tensor in unet.items()}
    for name, tensor in vae.items():
        linear = "mid_block.attentions" in name and tensor.dim() == 2
        state[f"first_stage_model.{vae_name(name)}"] = tensor[..., None, None] if linear else tensor
    state |= text_tensors(models["text_encoder"].state_dict(), second)
    save_file({name: tensor.contiguous().clone() for name, tensor in state.items()}, path)
    return models


def test_a_version_2_for_512_pixels_predicts_the_noise(tmp_path: Path) -> None:
    single_file(tmp_path / "v2-1_512-ema-pruned.safetensors", True)
    assert terminal.run(app, ["convert", str(tmp_path / "v2-1_512-ema-pruned.safetensors"), str(tmp_path / "out")]) == 0
    diffusion = load_diffusion(tmp_path / "out")
    assert (diffusion.scheduler.config.prediction_type, diffusion.unet.config.sample_size) == ("epsilon", 64)


@pytest.mark.parametrize("second", [False, True])
def test_a_single_file_becomes_a_folder_that_gives_the_same(second: bool, tmp_path: Path) -> None:
    models = single_file(tmp_path / "v.safetensors", second)
    assert terminal.run(app, ["convert", str(tmp_path / "v.safetensors"), str(tmp_path / "out")]) == 0
    diffusion = load_diffusion(tmp_path / "out")
    for name, model in (("unet", diffusion.unet), ("vae", diffusion.vae)):
        expected, found = models[name].state_dict(), model.state_dict()
        assert set(found) == set(expected) and all(torch.equal(found[key], expected[key]) for key in expected)
    assert diffusion.unet.config.attention_head_dim == ([1, 1, 2, 2] if second else 8)
    ids = torch.full((1, 77), 0 if second else 49407)  # "!" pads in version 2, the end of text in version 1
    ids[0, :2] = torch.tensor([49406, 49407])
    with torch.no_grad():
        expected_prompt = models["text_encoder"].eval()(ids).last_hidden_state
    assert torch.allclose(embed_prompt(tmp_path / "out"), expected_prompt, atol=1e-6)
    assert diffusion.scheduler.config.prediction_type == ("v_prediction" if second else "epsilon")


def test_other_files_are_named_and_nothing_is_written(tmp_path: Path, clip_folder: Path) -> None:
    out, tensor = tmp_path / "out", torch.zeros(1)
    save_file({"conditioner.embedders.0.x": tensor}, tmp_path / "xl.safetensors")
    save_file({"lora_unet.x": tensor}, tmp_path / "lora.safetensors")
    (tmp_path / "old.ckpt").write_bytes(b"pickle")
    for name, line in (
        ("xl.safetensors", "is Stable Diffusion XL; only 1.x and 2.x"),
        ("lora.safetensors", "not a whole Stable Diffusion 1.x or 2.x in one file"),
        ("old.ckpt", r"is not a safetensors file; of a checkpoint as \.ckpt get the copy"),
    ):
        with pytest.raises(WeightsError, match=line):
            convert_single_file(tmp_path / name, out)
    models = single_file(tmp_path / "cut.safetensors", False)
    assert models
    from safetensors.torch import load_file

    state = load_file(tmp_path / "cut.safetensors")
    del state["model.diffusion_model.middle_block.0.in_layers.0.weight"]
    save_file(state, tmp_path / "cut.safetensors")
    with pytest.raises(WeightsError, match=r"1 tensors of its unet such as mid_block.resnets.0.norm1.weight"):
        convert_single_file(tmp_path / "cut.safetensors", out)
    assert not out.exists() and not list(tmp_path.glob(".out*"))
