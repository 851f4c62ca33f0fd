"""The frozen diffusion model against an untouched copy of diffusers' own, captured by plain hooks."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from torch import Tensor
from transformers import CLIPTextModel

from fixtures.tiny import END, TEXT_LENGTH, VAE
from sketchfusion.backbones.diffusion import FrozenDiffusion
from sketchfusion.backbones.encoders import Stage
from sketchfusion.backbones.folders import embed_prompt, load_diffusion

ALL = ("down0", "down1", "down2", "down3", "mid", "up0", "up1", "up2", "up3")
TOLERANCE = 1e-5  # of features whose largest values are about 5
INJECTED = ("down0", "down1", "down2", "down3", "up0", "up1", "up2")


@pytest.fixture(scope="module")
def diffusion(sd_folder: Path) -> FrozenDiffusion:
    return load_diffusion(sd_folder)


def plain_unet(folder: Path) -> UNet2DConditionModel:
    return UNet2DConditionModel.from_pretrained(folder, subfolder="unet").eval()


def captured(
    unet: UNet2DConditionModel, noisy: Tensor, timestep: int, prompt: Tensor, add: Mapping[str, Tensor] | None = None
) -> dict[str, Tensor]:
    """Run the whole UNet and keep every block's output; additions are made in place, the crude way, skips included."""
    add, seen, handles = add or {}, {}, []
    blocks = {f"down{i}": block for i, block in enumerate(unet.down_blocks)}
    blocks |= {"mid": unet.mid_block} | {f"up{i}": block for i, block in enumerate(unet.up_blocks)}

    def keep(name: str, output: Any) -> None:
        hidden = output[0] if isinstance(output, tuple) else output
        if name in add:
            hidden += add[name]
        seen[name] = hidden.clone()

    for name, block in blocks.items():
        handles.append(block.register_forward_hook(lambda _module, _inputs, output, name=name: keep(name, output)))
    with torch.no_grad():
        unet(noisy, timestep, prompt.expand(len(noisy), -1, -1))
    for handle in handles:
        handle.remove()
    return seen


def latents(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(7))


def additions(diffusion: FrozenDiffusion, size: tuple[int, int], batch: int, scale: float = 1.0) -> dict[str, Tensor]:
    sizes = diffusion.sizes(size)
    return {name: scale * latents(batch, diffusion.stages[name].channels, *sizes[name]) for name in INJECTED}


def test_stages_are_named_with_their_channels_and_strides(diffusion: FrozenDiffusion) -> None:
    assert list(diffusion.stages.values()) == [
        Stage("down0", 16, 16),
        Stage("down1", 32, 32),
        Stage("down2", 64, 64),
        Stage("down3", 64, 64),
        Stage("mid", 64, 64),
        Stage("up0", 64, 32),
        Stage("up1", 64, 16),
        Stage("up2", 32, 8),
        Stage("up3", 16, 8),
    ]


@pytest.fixture(scope="module", params=["sd_folder", "sd1_folder"])
def and_untouched(request: pytest.FixtureRequest) -> tuple[FrozenDiffusion, UNet2DConditionModel]:
    """A model as it is loaded, and the UNet of the same folder as its library loads it."""
    path = request.getfixturevalue(request.param)
    return load_diffusion(path), plain_unet(path)


@pytest.mark.parametrize(("size", "timestep"), [((8, 8), 0), ((42, 42), 195), ((7, 13), 999)])
def test_stages_equal_those_of_an_untouched_unet(
    and_untouched: tuple[FrozenDiffusion, UNet2DConditionModel], size: tuple[int, int], timestep: int
) -> None:
    model, untouched = and_untouched
    noisy = latents(2, 4, *size)
    expected = captured(untouched, noisy, timestep, model.null_prompt)
    got = model(noisy, timestep, ALL)
    for name in ALL:
        # Not bits: two loaded copies of the weights may be aligned differently in memory.
        assert float((got[name] - expected[name]).abs().max()) <= TOLERANCE, name
        assert tuple(got[name].shape[-2:]) == model.sizes(size)[name]
    again = captured(model.unet, noisy, timestep, model.null_prompt)
    assert all(torch.equal(got[name], again[name]) for name in ALL)


def test_zero_additions_change_no_bit(diffusion: FrozenDiffusion) -> None:
    noisy = latents(1, 4, 8, 8)
    expected = captured(diffusion.unet, noisy, 195, diffusion.null_prompt)
    for add_to_skips in (False, True):
        got = diffusion(noisy, 195, ALL, add=additions(diffusion, (8, 8), 1, scale=0.0), add_to_skips=add_to_skips)
        assert all(torch.equal(got[name], expected[name]) for name in ALL)


def test_additions_with_skips_equal_in_place_additions(diffusion: FrozenDiffusion) -> None:
    noisy, add = latents(2, 4, 42, 42), additions(diffusion, (42, 42), 2)
    expected = captured(diffusion.unet, noisy, 195, diffusion.null_prompt, add)
    got = diffusion(noisy, 195, ALL, add=add, add_to_skips=True)
    assert all(torch.equal(got[name], expected[name]) for name in ALL)


def test_skips_are_untouched_unless_asked_for(diffusion: FrozenDiffusion, sd_folder: Path) -> None:
    """Against an untouched UNet whose down blocks give copies of their skips, made before anything is added."""
    noisy, add = latents(1, 4, 8, 8), additions(diffusion, (8, 8), 1)
    unet = plain_unet(sd_folder)

    def add_out_of_place(name: str, output: Any) -> Any:
        if name.startswith("up"):
            return output + add[name]
        return output[0] + add[name], tuple(skip.clone() for skip in output[1])

    blocks = {f"down{i}": block for i, block in enumerate(unet.down_blocks)}
    blocks |= {f"up{i}": unet.up_blocks[i] for i in range(3)}
    for name, block in blocks.items():
        block.register_forward_hook(lambda _m, _i, output, name=name: add_out_of_place(name, output))
    seen: dict[str, Tensor] = {}
    unet.up_blocks[3].register_forward_pre_hook(
        lambda _m, _args, kwargs: seen.update(up2=kwargs["hidden_states"]), with_kwargs=True
    )
    with torch.no_grad():
        unet(noisy, 195, diffusion.null_prompt)
    before = {name: value.clone() for name, value in add.items()}
    got = diffusion(noisy, 195, ("up2",), add=add)["up2"]
    with_skips = diffusion(noisy, 195, ("up2",), add=add, add_to_skips=True)["up2"]
    assert float((got - seen["up2"]).abs().max()) <= TOLERANCE < 0.1 < float((got - with_skips).abs().max())
    assert all(torch.equal(add[name], before[name]) for name in add)


def test_nothing_runs_after_the_last_wanted_stage(diffusion: FrozenDiffusion) -> None:
    ran: list[str] = []
    unet = diffusion.unet
    watched = {"up1": unet.up_blocks[1], "up2": unet.up_blocks[2], "up3": unet.up_blocks[3], "out": unet.conv_out}
    handles = [
        block.register_forward_pre_hook(lambda _m, _i, name=name: ran.append(name)) for name, block in watched.items()
    ]
    diffusion(latents(1, 4, 8, 8), 195, ("up0", "up2"))
    assert ran == ["up1", "up2"]
    ran.clear()
    diffusion(latents(1, 4, 8, 8), 195, ("mid",))
    assert ran == []
    for handle in handles:
        handle.remove()


def test_outside_a_run_the_unet_is_as_it_was(and_untouched: tuple[FrozenDiffusion, UNet2DConditionModel]) -> None:
    model, untouched = and_untouched
    noisy, prompt = latents(1, 4, 8, 8), model.null_prompt
    with torch.no_grad():
        expected = model.unet(noisy, 195, prompt).sample  # hooks on, but no run of ours
        assert float((untouched(noisy, 195, prompt).sample - expected).abs().max()) <= TOLERANCE
        model(noisy, 195, ("up2",), add=additions(model, (8, 8), 1))
        assert torch.equal(model.unet(noisy, 195, prompt).sample, expected)
    for module, reference in zip(model.unet.modules(), untouched.modules(), strict=True):
        assert type(module) is type(reference)
        assert module.forward.__func__ is type(module).forward
    assert all(torch.equal(a, b) for a, b in zip(model.unet.parameters(), untouched.parameters(), strict=True))


def test_a_failed_run_leaves_nothing_behind(diffusion: FrozenDiffusion) -> None:
    noisy = latents(1, 4, 8, 8)
    before = diffusion(noisy, 195, ("up2",))["up2"]
    with pytest.raises(RuntimeError):
        diffusion(noisy, 195, ("up2",), add={"down1": torch.ones(1, 3, 2, 2)})
    assert torch.equal(diffusion(noisy, 195, ("up2",))["up2"], before)
    with pytest.raises(ValueError, match=r"up9.*down0"):
        diffusion(noisy, 195, ("up9",))


def test_two_threads_do_not_mix(diffusion: FrozenDiffusion) -> None:
    jobs = [(latents(1, 4, 8, 8) * (i + 1), additions(diffusion, (8, 8), 1, scale=i)) for i in range(8)]

    def work(job: tuple[Tensor, dict[str, Tensor]]) -> Tensor:
        with torch.no_grad():
            return diffusion(job[0], 195, ("up2",), add=job[1])["up2"]

    alone = [work(job) for job in jobs]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(work, jobs))
    assert all(torch.equal(a, b) for a, b in zip(alone, together, strict=True))


def test_two_adapters_of_one_unet_do_not_mix(diffusion: FrozenDiffusion) -> None:
    noisy, add = latents(1, 4, 8, 8), additions(diffusion, (8, 8), 1)
    alone = diffusion(noisy, 195, ("up2",), add=add)["up2"]
    second = FrozenDiffusion(diffusion.unet, diffusion.vae, diffusion.scheduler, diffusion.null_prompt)
    assert torch.equal(alone, diffusion(noisy, 195, ("up2",), add=add)["up2"])
    assert torch.equal(alone, second(noisy, 195, ("up2",), add=add)["up2"])


def test_gradient_flows_through_to_an_addition(diffusion: FrozenDiffusion) -> None:
    add = {name: value.requires_grad_() for name, value in additions(diffusion, (8, 8), 1).items()}
    diffusion(latents(1, 4, 8, 8), 195, ("up2",), add=add)["up2"].square().mean().backward()
    assert all(value.grad is not None and value.grad.abs().max() > 0 for value in add.values())
    assert all(parameter.grad is None for parameter in diffusion.parameters())


def test_latents_are_the_posterior_mean_of_images_in_the_vaes_range(
    diffusion: FrozenDiffusion, sd_folder: Path
) -> None:
    vae = AutoencoderKL.from_pretrained(sd_folder, subfolder="vae").eval()
    images = latents(2, 3, 64, 64).clamp(-1, 1)
    with torch.no_grad():
        moments = vae.quant_conv(vae.encoder(images))
        mean, log_variance = moments.chunk(2, dim=1)
        assert torch.allclose(diffusion.encode(images), mean * 0.18215, atol=1e-6)
        torch.manual_seed(0)
        drawn = diffusion.encode(images, draws=500)
    assert drawn.shape == (2, 500, 4, 8, 8)
    spread = (log_variance / 2).exp() * 0.18215
    assert torch.allclose(drawn.mean(dim=1), mean * 0.18215, atol=5 * float(spread.max()) / 500**0.5)
    assert torch.allclose(drawn.std(dim=1), spread, rtol=0.25)


def test_noise_is_added_by_the_checkpoints_schedule(
    and_untouched: tuple[FrozenDiffusion, UNet2DConditionModel],
) -> None:
    """Scaled-linear betas, by hand in float64; v- and epsilon-prediction and DDIM and PNDM do not differ in this."""
    model, _ = and_untouched
    keep = np.cumprod(1 - np.linspace(0.00085**0.5, 0.012**0.5, 1000) ** 2)[195]
    clean, noise = latents(2, 4, 8, 8), model.noise((8, 8))
    expected = keep**0.5 * clean.double() + (1 - keep) ** 0.5 * noise.double()
    assert torch.allclose(model.add_noise(clean, noise, 195).double(), expected, atol=1e-6)


def test_noise_depends_on_size_and_seed_alone(diffusion: FrozenDiffusion) -> None:
    first = diffusion.noise((60, 60))
    torch.manual_seed(123)
    state = torch.get_rng_state()
    assert torch.equal(first, diffusion.noise((60, 60)))
    assert torch.equal(state, torch.get_rng_state())
    assert first.shape == (1, 4, 60, 60) and abs(float(first.mean())) < 0.05 and abs(float(first.std()) - 1) < 0.05
    assert not torch.equal(first, diffusion.noise((60, 60), seed=1))
    assert diffusion.noise((42, 42)).shape == (1, 4, 42, 42)


@pytest.mark.parametrize(("folder", "pad"), [("sd_folder", 0), ("sd1_folder", 3)])
def test_the_null_prompt_is_padded_as_the_checkpoint_does(
    folder: str, pad: int, request: pytest.FixtureRequest
) -> None:
    """SD 2.x pads with token 0, SD 1.x with end-of-text; begin and end of text are tokens 1 and 3 here."""
    path = request.getfixturevalue(folder)
    encoder = CLIPTextModel.from_pretrained(path / "text_encoder").eval()
    with torch.no_grad():
        expected = encoder(torch.tensor([[1, 3] + [pad] * (TEXT_LENGTH - 2)])).last_hidden_state
    assert torch.allclose(load_diffusion(path).null_prompt, expected, atol=1e-5)


def test_prompts_are_embedded_too(sd_folder: Path) -> None:
    encoder = CLIPTextModel.from_pretrained(sd_folder / "text_encoder").eval()
    with torch.no_grad():
        expected = encoder(torch.tensor([[1, 30, 57, 3] + [0] * (TEXT_LENGTH - 4)])).last_hidden_state
    assert torch.allclose(embed_prompt(sd_folder, "a cat"), expected, atol=1e-5)


def test_a_tokenizer_in_the_old_layout_pads_as_its_special_tokens_map_says(sd_folder: Path, tmp_path: Path) -> None:
    """The published SD 2.1 names end-of-text in tokenizer_config.json and "!" in special_tokens_map.json."""
    folder = tmp_path / "old"
    shutil.copytree(sd_folder, folder)
    written = json.loads((folder / "tokenizer" / "tokenizer.json").read_text())["model"]
    shutil.rmtree(folder / "tokenizer")
    (folder / "tokenizer").mkdir()
    special = {"bos_token": "<|startoftext|>", "eos_token": END, "unk_token": END}
    merges = [" ".join(merge) for merge in written["merges"]]
    files: dict[str, str] = {
        "vocab.json": json.dumps(written["vocab"]),
        "merges.txt": "\n".join(["#version: 0.2", *merges, ""]),
        "tokenizer_config.json": json.dumps({**special, "pad_token": END, "tokenizer_class": "CLIPTokenizer"}),
        "special_tokens_map.json": json.dumps({**special, "pad_token": "!"}),
    }
    for name, text in files.items():
        (folder / "tokenizer" / name).write_text(text)
    assert torch.allclose(embed_prompt(folder), embed_prompt(sd_folder), atol=1e-5)


def test_half_precision_files_are_run_in_the_type_asked_for(sd_folder: Path, tmp_path: Path) -> None:
    plain_unet(sd_folder).half().save_pretrained(tmp_path / "sd" / "unet")
    for part in ("vae", "text_encoder", "tokenizer", "scheduler"):
        shutil.copytree(sd_folder / part, tmp_path / "sd" / part)
    model = load_diffusion(tmp_path / "sd")
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}
    assert load_diffusion(tmp_path / "sd", torch.bfloat16).dtype == torch.bfloat16


def test_a_folder_of_fp16_variants_loads(diffusion: FrozenDiffusion, sd_folder: Path, tmp_path: Path) -> None:
    shutil.copytree(sd_folder, tmp_path / "sd")
    for part, stem in (
        ("unet", "diffusion_pytorch_model"),
        ("vae", "diffusion_pytorch_model"),
        ("text_encoder", "model"),
    ):
        path = tmp_path / "sd" / part / f"{stem}.safetensors"
        path.rename(path.with_name(f"{stem}.fp16.safetensors"))
    noisy = latents(1, 4, 8, 8)
    expected = diffusion(noisy, 195, ("up2",))["up2"]
    got = load_diffusion(tmp_path / "sd")(noisy, 195, ("up2",))["up2"]
    assert float((got - expected).abs().max()) <= TOLERANCE


def test_the_vaes_stride_comes_from_its_configuration(diffusion: FrozenDiffusion) -> None:
    short = {**VAE, "block_out_channels": (8, 8, 16), "down_block_types": ("DownEncoderBlock2D",) * 3}
    vae = AutoencoderKL(**{**short, "up_block_types": ("UpDecoderBlock2D",) * 3})
    quarter = FrozenDiffusion(diffusion.unet, vae, diffusion.scheduler, diffusion.null_prompt)
    assert quarter.encode(torch.zeros(1, 3, 64, 64)).shape == (1, 4, 16, 16)
    assert quarter.latent_stride == 4 and quarter.stages["up2"].stride == 4
    assert quarter.sizes((32, 32))["up0"] == (8, 8)
