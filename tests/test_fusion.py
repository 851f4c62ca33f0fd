"""Injection, aggregation and the fused model: values against hand-made oracles, and who receives gradient."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from fixtures.oracles import aggregate_by_hand
from sketchfusion.backbones.diffusion import FrozenDiffusion
from sketchfusion.backbones.folders import load_diffusion
from sketchfusion.fusion import PHOTO, SKETCH, Aggregation, Centring, FusionConfig, FusionModel, Injection, Stretch

CONFIG = FusionConfig(grid=8, width=32)
CLIP_CHANNELS = 12


@pytest.fixture(scope="module")
def diffusion(sd_folder: Path) -> FrozenDiffusion:
    return load_diffusion(sd_folder)


def model_of(diffusion: FrozenDiffusion, config: FusionConfig = CONFIG) -> FusionModel:
    torch.manual_seed(0)
    return FusionModel(diffusion, CLIP_CHANNELS, config)


def batch(count: int = 2, size: int = 8) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(3)
    shapes = (count, 4, size, size), (count, CLIP_CHANNELS, 4, 4)
    return torch.randn(shapes[0], generator=generator), torch.randn(shapes[1], generator=generator)


def stir(model: FusionModel) -> FusionModel:
    """Give the zero-initialised injection something to say."""
    for parameter in model.light.injection.parameters():
        torch.nn.init.normal_(parameter, std=0.3, generator=torch.Generator().manual_seed(1))
    return model


def test_injection_is_a_matrix_per_stage_then_a_bilinear_resize() -> None:
    injection = Injection(CLIP_CHANNELS, {"down0": 6, "up1": 5}, zero_init=False)
    _, tokens = batch()
    got = injection(tokens, {"down0": (9, 7), "up1": (2, 2)})
    for name, size in (("down0", (9, 7)), ("up1", (2, 2))):
        conv = injection.convs[name]
        mixed = torch.einsum("oc,bchw->bohw", conv.weight[:, :, 0, 0], tokens) + conv.bias.view(1, -1, 1, 1)
        expected = F.interpolate(mixed, size, mode="bilinear", align_corners=False)
        assert torch.allclose(got[name], expected, atol=1e-6)
    zero = Injection(CLIP_CHANNELS, {"down0": 6})
    assert not zero(tokens, {"down0": (9, 7)})["down0"].any()


@pytest.mark.parametrize("width", [32, 128])
def test_aggregation_equals_one_written_out(width: int) -> None:
    torch.manual_seed(0)
    channels = {"up0": 32, "up1": 32, "up2": 16}
    aggregation = Aggregation(channels, width, grid=6).eval()
    with torch.no_grad():
        aggregation.branch_weights.copy_(torch.tensor([0.3, -1.0, 2.0]))
    maps = {name: torch.randn(2, count, 3 + i, 4) for i, (name, count) in enumerate(channels.items())}
    got = aggregation(maps)
    expected = aggregate_by_hand(aggregation.state_dict(), maps, grid=6, width=width)
    assert got.shape == (2, width, 6, 6)
    assert torch.allclose(got, expected, atol=1e-5)
    assert float(got.detach().min()) >= 0


def test_a_shortcut_is_projected_only_where_the_width_changes() -> None:
    branches = Aggregation({"up0": 32, "up2": 16}, width=32, grid=4).branches
    assert not list(branches["up0"].shortcut.parameters())
    assert list(branches["up2"].shortcut.parameters())


def test_photos_and_sketches_are_centred_each_by_their_own() -> None:
    torch.manual_seed(0)
    centring, maps = Centring(6), torch.rand(2, 6, 3, 3)
    kinds = torch.tensor([SKETCH, PHOTO])
    assert torch.equal(centring(maps, kinds), maps)  # as published until it is settled
    centre, spread = torch.randn(6), torch.rand(6) + 0.1
    centring.set_statistics(SKETCH, centre, spread)
    found = centring(maps, kinds)
    assert torch.allclose(found[0], (maps[0] - centre.view(6, 1, 1)) / spread.view(6, 1, 1))
    assert torch.equal(found[1], maps[1])


def test_a_coarser_grid_can_be_asked_for() -> None:
    aggregation = Aggregation({"up0": 8, "up1": 4}, 6, 5)
    maps = {"up0": torch.randn(2, 8, 3, 3), "up1": torch.randn(2, 4, 5, 5)}
    assert aggregation(maps).shape == (2, 6, 5, 5)
    assert aggregation(maps, grid=7).shape == (2, 6, 7, 7)


def test_full_size_light_parts_have_the_published_number_of_parameters() -> None:
    """7 convolutions from CLIP's 1024 channels: 6,888,000; three bottlenecks and three weights: 5,850,885 - 2."""
    stages = {"down0": 320, "down1": 640, "down2": 1280, "down3": 1280, "up0": 1280, "up1": 1280, "up2": 640}
    injection = Injection(1024, stages)
    assert sum(parameter.numel() for parameter in injection.parameters()) == 6_888_000
    aggregation = Aggregation({name: stages[name] for name in ("up0", "up1", "up2")}, width=1280, grid=60)
    # The released module also holds two logit scales that nothing uses.
    assert sum(parameter.numel() for parameter in aggregation.parameters()) == 5_850_885 - 2


def test_an_untrained_model_leaves_stable_diffusion_bit_for_bit(diffusion: FrozenDiffusion) -> None:
    latents, tokens = batch()
    noisy = diffusion.add_noise(latents, diffusion.noise((8, 8)), CONFIG.timestep)
    plain = diffusion(noisy, CONFIG.timestep, CONFIG.aggregate)
    with torch.no_grad():
        fused = model_of(diffusion).stages(latents, tokens)
        moved = stir(model_of(diffusion)).stages(latents, tokens)
    assert all(torch.equal(fused[name], plain[name]) for name in CONFIG.aggregate)
    assert not any(torch.allclose(moved[name], plain[name], atol=1e-3) for name in CONFIG.aggregate)


def test_exactly_the_light_parts_receive_gradient_from_the_first_step(diffusion: FrozenDiffusion) -> None:
    model = model_of(diffusion).train()
    model(*batch()).square().mean().backward()
    moved = {name for name, parameter in model.named_parameters() if parameter.grad is not None}
    assert moved == {f"light.{name}" for name, _ in model.light.named_parameters()}
    assert {name for name, parameter in model.named_parameters() if parameter.requires_grad} == moved
    for name, parameter in model.light.named_parameters():
        assert parameter.grad is not None and float(parameter.grad.abs().max()) > 0, name


def test_training_moves_the_injection_and_nothing_frozen(diffusion: FrozenDiffusion) -> None:
    model = model_of(diffusion).train()
    frozen = {name: value.clone() for name, value in model.diffusion.state_dict().items()}
    light = {name: value.detach().clone() for name, value in model.light.named_parameters()}
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-2, weight_decay=0.1)
    for _ in range(2):
        optimiser.zero_grad()
        model(*batch()).square().mean().backward()
        optimiser.step()
    assert all(torch.equal(value, frozen[name]) for name, value in model.diffusion.state_dict().items())
    assert not any(torch.equal(value, light[name]) for name, value in model.light.named_parameters())


def test_train_and_eval_never_wake_the_frozen_parts(diffusion: FrozenDiffusion) -> None:
    model = model_of(diffusion)
    for mode in (True, False, True):
        model.train(mode)
        assert model.light.training is mode and model.light.aggregation.training is mode
        assert not any(module.training for module in model.diffusion.modules())
    torch.nn.Sequential(model).train()
    assert not any(module.training for module in model.diffusion.modules())


def test_the_state_to_save_holds_no_frozen_weight(diffusion: FrozenDiffusion) -> None:
    names = set(model_of(diffusion).light.state_dict())
    assert {name.split(".")[0] for name in names} == {"injection", "aggregation", "centring"}
    assert sum(1 for name in names if name.startswith("injection")) == 2 * len(CONFIG.inject_at)


@pytest.mark.parametrize("count", [1, 4, 9], ids=["all in a pass", "two in a pass", "one in a pass"])
def test_an_ensemble_averages_the_stages_of_its_draws(diffusion: FrozenDiffusion, count: int) -> None:
    latents, tokens = batch(count)
    model = stir(model_of(diffusion, replace(CONFIG, ensemble=3)))
    single = stir(model_of(diffusion))
    with torch.no_grad():
        got = model.stages(latents, tokens)
        draws = [single.stages(latents, tokens, diffusion.noise((8, 8), seed)[None]) for seed in range(3)]
        assert torch.equal(draws[0]["up2"], single.stages(latents, tokens)["up2"])  # draw 0 is the default's noise
    for name in CONFIG.aggregate:
        expected = torch.stack([draw[name] for draw in draws]).mean(dim=0)
        assert torch.allclose(got[name], expected, atol=1e-5)


def test_the_noise_is_the_same_for_every_image_and_call(diffusion: FrozenDiffusion) -> None:
    latents, tokens = batch(1)
    model = stir(model_of(diffusion))
    with torch.no_grad():
        twice = model(torch.cat([latents, latents]), torch.cat([tokens, tokens]))
        torch.manual_seed(99)
        assert torch.equal(twice, model(torch.cat([latents, latents]), torch.cat([tokens, tokens])))
        assert torch.allclose(twice[0], twice[1], atol=1e-5)
        fresh = stir(model_of(diffusion, replace(CONFIG, noise_seed=None)))
        assert not torch.allclose(fresh(latents, tokens), fresh(latents, tokens), atol=1e-3)


def test_a_cut_gradient_leaves_the_injection_untrained(diffusion: FrozenDiffusion) -> None:
    model = model_of(diffusion, replace(CONFIG, cut_gradient=True))
    model(*batch()).square().mean().backward()
    assert all(parameter.grad is None for parameter in model.light.injection.parameters())
    assert all(parameter.grad is not None for parameter in model.light.aggregation.parameters())


def test_dropout_acts_in_training_only(diffusion: FrozenDiffusion) -> None:
    model = model_of(diffusion, replace(CONFIG, dropout=0.5))
    with torch.no_grad():
        assert torch.equal(model.eval()(*batch()), model(*batch()))
        assert torch.equal(model(*batch()), model_of(diffusion).eval()(*batch()))
        assert not torch.allclose(model.train()(*batch()), model(*batch()), atol=1e-3)


def test_places_of_injection_are_a_choice(diffusion: FrozenDiffusion) -> None:
    decoder = stir(model_of(diffusion, replace(CONFIG, inject_at=("up0", "up1", "up2"))))
    assert set(decoder.light.injection.convs) == {"up0", "up1", "up2"}
    assert decoder(*batch()).shape == (2, 32, 8, 8)
    with pytest.raises(ValueError, match="up7"):
        model_of(diffusion, replace(CONFIG, inject_at=("up7",)))
    with pytest.raises(ValueError, match="up7"):
        model_of(diffusion, replace(CONFIG, aggregate=("up7",)))


def test_channels_are_stretched_linearly() -> None:
    maps = torch.arange(4.0).view(1, 4, 1, 1).expand(1, 4, 2, 3)
    halved = Stretch(2)(maps)
    assert halved.shape == (1, 2, 2, 3) and halved[0, :, 1, 2].tolist() == [0.5, 2.5]
    assert torch.equal(Stretch(4)(maps), maps)


def test_the_ablations_leave_out_one_part_each(diffusion: FrozenDiffusion) -> None:
    whole = {name for name, _ in model_of(diffusion).light.named_parameters()}
    for part, left_out in (
        ("convolutions", "injection."),
        ("bottlenecks", "aggregation.branches."),
        ("branch_weights", "aggregation.branch_weights"),
    ):
        model = model_of(diffusion, replace(CONFIG, **{part: False}))
        model(*batch()).square().mean().backward()
        trained = {name for name, p in model.light.named_parameters() if p.grad is not None}
        assert trained == {name for name in whole if not name.startswith(left_out)}


def test_without_bottlenecks_stages_are_stretched_and_added(diffusion: FrozenDiffusion) -> None:
    maps = {"up0": torch.rand(1, 16, 2, 2), "up1": torch.rand(1, 16, 4, 4)}
    plain = Aggregation({"up0": 16, "up1": 16}, 16, 4, bottlenecks=False, weights=False)
    up0 = F.interpolate(maps["up0"], (4, 4), mode="bilinear", align_corners=False)
    assert torch.allclose(plain(maps), (up0 + maps["up1"]) / 2)
