"""Which frozen models are trained on: names, folders, two joined by a plus; and the sizes that suit them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from torch.nn import functional as F

from fixtures.roots import training_data
from sketchfusion.backbones.folders import UNETS, VAE
from sketchfusion.cli import app, terminal
from sketchfusion.extractor import prepare_as_released
from sketchfusion.featuremap import FeatureMap
from sketchfusion.features import SketchFusion
from sketchfusion.fusion import PHOTO, SKETCH
from sketchfusion.io.weights import WeightsError
from sketchfusion.lab.training.bank import Picture, PictureArray, Pictures, decode
from sketchfusion.lab.training.feature_cache import FrozenFeatures, FrozenInput, valid_cells
from sketchfusion.lab.training.methods import CachedEncoder, Fused, frozen_pair
from sketchfusion.lab.training.objective import Maps

SHORT = {"steps": "1", "warmup": "1", "classes": "2", "views": "1", "validate_every": "2", "validation_batches": "1"}


def full_size_folder(folder: Path, clip: Path) -> Path:
    """A folder with the configurations of SD 2.1 and one number for weights, beside a CLIP."""
    for part, config in (("unet", UNETS["sd21"]), ("vae", VAE), ("text_encoder", {})):
        (folder / "sd" / part).mkdir(parents=True)
        channels = {"block_out_channels": [320, 640, 1280, 1280]} if part == "unet" else {}
        (folder / "sd" / part / "config.json").write_text(json.dumps({**channels, **config}))
        name = "model" if part == "text_encoder" else "diffusion_pytorch_model"
        save_file({"weight": torch.zeros(1)}, folder / "sd" / part / f"{name}.safetensors")
    shutil.copytree(clip, folder / "clip")
    return folder


def test_a_folder_of_full_size_models_has_full_sizes(clip_folder: Path, tmp_path: Path) -> None:
    folder = full_size_folder(tmp_path, clip_folder)
    parts = {"diffusion": str(folder / "sd"), "clip": str(folder / "clip")}
    joined = "+".join(parts.values())
    for config in (frozen_pair(str(folder), "recognition"), frozen_pair(joined, "recognition")):
        assert (config.side, config.fusion.grid, config.fusion.width, config.clip_layer) == (480, 60, 1280, -2)
        assert (config.diffusion, config.clip, config.task) == (*parts.values(), "recognition")
        assert config == frozen_pair("full", "recognition", parts)
    released = frozen_pair("released", "correspondence", parts)
    assert (released.side, released.fusion.ensemble, released.clip_layer) == (336, 32, -1)


def test_the_package_s_own_models_keep_their_sizes(tmp_path: Path) -> None:
    for model in ("mini", "mini-sd+mini-clip"):
        config = frozen_pair(model, "retrieval")
        assert (config.diffusion, config.side, config.fusion.grid, config.fusion.width) == ("mini-sd", 128, 32, 256)


def test_models_that_are_not_known_have_their_own_sizes_and_it_is_said(
    sd_folder: Path, clip_folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    config = frozen_pair("full", "retrieval", {"diffusion": str(sd_folder), "clip": str(clip_folder)})
    assert (config.side, config.fusion.grid, config.fusion.width) == (64, 8, 64)
    assert "its own 64 px, with maps of 8 x 8 cells and 64 channels" in caplog.text


@pytest.mark.parametrize("pair", ["released", "SD+CLIP"])
def test_local_folders_are_trained_on_under_any_name(
    pair: str, sd_folder: Path, clip_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a researcher does it whose folders lie where the command is given."""
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "sd").symlink_to(sd_folder)
    (tmp_path / "models" / "clip").symlink_to(clip_folder)
    [paired, _] = training_data(tmp_path)
    monkeypatch.chdir(tmp_path)
    parts = {"diffusion": "models/sd", "clip": "models/clip"}
    named = {} if pair == "SD+CLIP" else parts
    small = {"fusion.ensemble": "1", "fusion.grid": "6", "fusion.width": "16", "side": "32"}
    command = ["train", "retrieval", "--data", str(paired.root), "--out", "out"]
    command += ["--model", "+".join(parts.values()) if pair == "SD+CLIP" else pair]
    command += [word for key, value in {**SHORT, **small, **named}.items() for word in ("--set", f"{key}={value}")]
    assert terminal.run(app, command) == 0
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    model = SketchFusion.from_pretrained("../out")
    config = model.config
    assert (config.diffusion, config.clip) == (str(sd_folder.resolve()), str(clip_folder.resolve()))
    assert (config.side, config.fusion.grid, config.fusion.width) == (32, 6, 16)
    assert (config.view == "as-released") == (pair == "released")


def test_what_is_not_a_pair_says_how_to_name_one(sd_folder: Path, clip_folder: Path) -> None:
    for one in (sd_folder, clip_folder):
        with pytest.raises(WeightsError, match="two are fused: name them as `--model SD\\+CLIP`"):
            frozen_pair(str(one), "retrieval")
    with pytest.raises(WeightsError, match="unet is missing; a model folder in the usual hub layout"):
        frozen_pair("full", "retrieval", {"diffusion": str(clip_folder)})
    with pytest.raises(WeightsError, match=r"the catalog has mini, full, released, and SD\+CLIP joins any two"):
        frozen_pair("sd21", "retrieval")


def test_as_released_trains_on_latents_drawn_anew_and_whole_pages_as_it_is_served(
    sd_folder: Path, clip_folder: Path, tmp_path: Path
) -> None:
    small = {"fusion.ensemble": "40", "fusion.grid": "6", "fusion.width": "16"}
    settings = {"diffusion": str(sd_folder), "clip": str(clip_folder), **small}
    method = Fused.create("released", "correspondence", settings, None)
    page = np.full((2, 1, 64, 64), 255, np.uint8)
    page[:, :, 8:16, 8:16] = 0  # a small drawing in a corner
    bank = PictureArray("sketch", page, [("cat",), ("dog",)])
    inputs = CachedEncoder(method, tmp_path)([bank], method.model.side).take([0, 1]).features
    seen: list[torch.Tensor] = []
    method.model.model.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    with torch.no_grad():
        squares = torch.from_numpy(page).expand(-1, 3, -1, -1).float()
        posterior = method.model.model.diffusion.vae.encode(squares).latent_dist
        method.maps(inputs, SKETCH)
        method.maps(inputs, SKETCH)
    scale = method.model.model.diffusion.vae.config.scaling_factor
    normal = (seen[0] / scale - posterior.mean[:, None]) / posterior.std[:, None]
    assert normal.shape[:2] == (2, 40) and not torch.equal(seen[0], seen[1])
    assert abs(float(normal.mean())) < 0.1 and float(normal.std()) == pytest.approx(1, abs=0.1)


def photographs(folder: Path, *sizes: tuple[int, int]) -> list[Picture]:
    """Smooth photos of given widths and heights, without detail that resizing could lose."""
    generator = np.random.default_rng(0)
    for number, size in enumerate(sizes):
        coarse = Image.fromarray(generator.integers(0, 256, (4, 4, 3), dtype=np.uint8))
        coarse.resize(size, Image.Resampling.BICUBIC).save(folder / f"{number}.png")
    return [Picture(str(folder / f"{number}.png"), ("cat",)) for number in range(len(sizes))]


def test_training_pools_pictures_that_are_not_square_as_serving_does(
    sd_folder: Path, clip_folder: Path, tmp_path: Path
) -> None:
    settings = {"diffusion": str(sd_folder), "clip": str(clip_folder), "fusion.grid": "10", "fusion.width": "32"}
    torch.manual_seed(0)
    method = Fused.create("full", "retrieval", {**settings, "whole": "0"}, None)
    for parameter in method.trained.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    photos = photographs(tmp_path, (300, 100), (90, 240), (128, 128), (200, 13))
    model, paths = method.model, [photo.path for photo in photos]
    for _ in range(2):  # computed, then from the cache
        bank = decode(photos, "photo", model.side, tmp_path / "cache")
        encode = CachedEncoder(method, tmp_path / "cache")
        of = encode([bank], model.side)
        encode.keep("all")
        inputs = of.take([0, 1, 2, 3])
    with torch.no_grad():
        maps = Maps(method.maps(inputs.features, PHOTO), inputs.valid)
        served = model.forward([model.prepare(path, "photo") for path in paths])
    frames = [model.prepare(path, "photo").frame for path in paths]
    assert inputs.valid is not None
    for cells, frame, data in zip(inputs.valid, frames, served.maps, strict=True):
        assert torch.equal(cells, FeatureMap(data, frame).valid())
    near = 4e-3 * float(served.vectors.abs().max())
    assert torch.allclose(maps.pooled(), served.vectors, atol=near)
    assert (maps.data.amax((2, 3)) - served.vectors).abs().max() > 5 * near  # padding would count
    assert CachedEncoder(method, tmp_path / "cache")([bank.at([2])], model.side).take([0]).valid is None


@pytest.mark.parametrize("kind", ["photo", "sketch"])
def test_padding_moves_with_the_picture_in_augmented_views(kind: str, tmp_path: Path) -> None:
    channels, grid, views = 3 if kind == "photo" else 1, 16, 4
    boxes = np.array([(0.25, 0.0, 0.75, 1.0), (0.0, 0.375, 1.0, 0.75), (0.0, 0.0, 1.0, 1.0)] * 15)
    pixels = np.zeros((45, channels, 64, 64), np.uint8)
    for square, box in zip(pixels, (boxes * 64).astype(int), strict=True):
        square[:, box[1] : box[3], box[0] : box[2]] = 255
    bank = PictureArray(kind, pixels, [("cat",)] * 45, boxes=boxes)  # type: ignore[arg-type]
    small = FrozenInput("small", lambda of: F.interpolate(of, (grid, grid), mode="area"))
    every = [(place, view) for place in range(45) for view in range(views)]
    seen = FrozenFeatures(small, Pictures([bank]), 64, views, "black")(*zip(*every, strict=True))
    bright = seen.mean(1).view(45, views, grid, grid)
    bright = bright > bright.amax((2, 3), keepdim=True) / 2
    marks = valid_cells(Pictures([bank]), grid, windowed=False)
    assert marks
    valid = marks(*zip(*every, strict=True)).view(45, views, grid, grid)
    assert torch.equal(valid[:, 0], bright[:, 0]) and not torch.equal(valid[:, 1], valid[:, 0])
    holes = 0.0 if kind == "photo" else 0.06  # strokes, here the padding, are erased, thickened and thinned too
    for number in range(2):
        assert float((valid[number::3, 1:] != bright[number::3, 1:]).float().mean()) < 0.03 + holes
    assert bool(valid[2::3].all())


def test_where_the_window_of_a_sketch_leaves_the_page_is_padding(tmp_path: Path) -> None:
    page = np.full((2, 1, 64, 64), 255, np.uint8)
    page[0, :, 24:40, 24:40] = page[1, :, :30, :30] = 0
    bank = PictureArray("sketch", page, [("cat",), ("dog",)])
    marks = valid_cells(Pictures([bank]), 16)
    assert marks
    valid = marks([0, 1], [0, 0])
    assert bool(valid[0].all()) and not valid[1].all() and not valid[1, 0].any() and bool(valid[1, -1, -1])
    assert valid_cells(Pictures([bank.at([0])]), 16) is None
    assert valid_cells(Pictures([bank]), 16, windowed=False) is None


def test_as_released_encoders_see_what_they_see_when_served(sd_folder: Path, clip_folder: Path, tmp_path: Path) -> None:
    small = {"fusion.ensemble": "2", "fusion.grid": "6", "fusion.width": "16", "side": "336"}
    method = Fused.create(
        "released", "correspondence", {"diffusion": str(sd_folder), "clip": str(clip_folder), **small}, None
    )
    photos = photographs(tmp_path, (300, 100), (90, 240), (128, 128))
    model, side = method.model, method.model.side
    bank = decode(photos, "photo", side, tmp_path / "cache")
    inputs = CachedEncoder(method, tmp_path / "cache")([bank], side).take([0, 1, 2])
    views = [prepare_as_released(photo.path, side, model.clip.side) for photo in photos]
    with torch.no_grad():
        clip = model.clip(torch.stack([view.clip for view in views]), model.config.clip_layer).dense
        posterior = model.model.diffusion.posterior(torch.stack([view.square for view in views]) * 255)
        letterboxed = model.clip(bank.take([0, 1, 2]), model.config.clip_layer).dense
    for found, served in zip(inputs.features, (posterior, clip), strict=True):
        assert float((found - served).norm() / served.norm()) < 0.03
    assert float((letterboxed - clip)[:2].norm() / clip[:2].norm()) > 0.1
    assert inputs.valid is not None and bool(inputs.valid[2].all()) and not inputs.valid[:2].all()
