"""SD-PL and B-Finetuning: untrained, in training, saved and loaded."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import AutoencoderKL, DDIMScheduler, UNet2DConditionModel
from torch import Tensor
from torch.nn import functional as F
from transformers import CLIPTextConfig, CLIPTextModel

from fixtures.roots import CATEGORIES, SMALL, training_data
from fixtures.tiny import SCHEDULE, TEXT, UNET, VAE, convolutional_clip, tokenizer
from sketchfusion.backbones.convolutional import save_convolutional_clip
from sketchfusion.backbones.diffusion import FrozenDiffusion
from sketchfusion.backbones.encoders import FrozenClip
from sketchfusion.baselines.frozen import STAGES, SdBaseline, SdClipBaseline
from sketchfusion.baselines.trained import FinetunedBaseline, SdPlBaseline
from sketchfusion.cli import app, terminal
from sketchfusion.extractor import TrainedExtractor
from sketchfusion.fusion import PHOTO, SKETCH
from sketchfusion.io.weights import PICKLES, WeightsError
from sketchfusion.lab.datasets import Dataset
from sketchfusion.lab.evaluation.fill import TableFiller
from sketchfusion.lab.evaluation.metrics import Estimate, bootstrap
from sketchfusion.lab.evaluation.search import benchmark_search
from sketchfusion.lab.evaluation.table import TABLES, TableColumn, TableLayout
from sketchfusion.lab.training.correspondence import CorrespondenceObjective
from sketchfusion.lab.training.loop import Losses
from sketchfusion.lab.training.methods import Finetuning, Fused, SdPl
from sketchfusion.lab.training.recipes import CorrespondenceRecipe
from sketchfusion.lab.training.train import TASKS, choose, train_task
from sketchfusion.models import load

pytestmark = pytest.mark.usefixtures("few_measured")
SHORT = {"steps": "2", "warmup": "1", "validate_every": "2", "validation_batches": "1"}
FEW = {task: SHORT | small for task, small in SMALL.items()}
METHODS = ["SD-PL", "B-Finetuning"]
CACHED = {"SD-PL": (FrozenClip, "forward"), "B-Finetuning": (FrozenDiffusion, "encode")}  # what they need not run
Left = dict[str, tuple[Path, TrainedExtractor]]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> list[Dataset]:
    """Photos with sketches of their own, and a segmentation folder."""
    return training_data(tmp_path_factory.mktemp("roots"))


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What is kept of the pictures, shared by all trainings here."""
    return tmp_path_factory.mktemp("cache")


def squares(count: int = 2, side: int = 64) -> Tensor:
    return torch.rand(count, 3, side, side, generator=torch.Generator().manual_seed(3))


def log(out: Path, task: str, name: str = "log") -> list[dict[str, str]]:
    return list(csv.DictReader((out / "training" / task / f"{name}.csv").open()))


def test_without_border_under_the_null_prompt_it_is_b_sd(sd_folder: Path) -> None:
    b_sd, fresh = SdBaseline.load(str(sd_folder)), SdPlBaseline.untrained(str(sd_folder), "correspondence")
    same = replace(fresh.config, timestep=195, ensemble=1)
    assert (same.stages, same.side) == (STAGES, b_sd.side)
    model = SdPlBaseline(fresh.diffusion, same, "SD-PL", torch.device("cpu"))
    views = [b_sd.prepare(square, kind) for square in squares() for kind in ("photo", "sketch")]
    with torch.no_grad():
        assert torch.equal(model.forward(views).maps, b_sd.forward(views).maps)
        assert torch.equal(model.forward(views).vectors, b_sd.forward(views).vectors)
    assert model.fingerprint != fresh.fingerprint


@torch.no_grad()
def test_six_draws_at_273_are_averaged_before_cells_get_unit_length(sd_folder: Path) -> None:
    model = SdPlBaseline.untrained(str(sd_folder), "instance-retrieval")
    diffusion, picture = model.diffusion, squares(1)
    latents = diffusion.encode(picture * 2 - 1)
    draws = [
        diffusion(diffusion.add_noise(latents, diffusion.noise((8, 8), seed), 273), 273, ["up2", "up3"])
        for seed in range(6)
    ]
    means = [torch.stack([draw[name] for draw in draws]).mean(0) for name in ("up2", "up3")]
    expected = torch.cat([F.normalize(mean, dim=1) for mean in means], dim=1)
    assert torch.allclose(model.forward([model.prepare(picture[0], "photo")]).maps, expected, atol=1e-6)


def test_stages_by_task_and_a_border_of_a_thirtieth(sd_folder: Path) -> None:
    stages = {task: SdPlBaseline.untrained(str(sd_folder), task).config.stages for task in TASKS}
    assert stages["retrieval"] == stages["recognition"] == ("up0", "up1")
    assert stages["instance-retrieval"] == ("up2", "up3")
    assert stages["correspondence"] == stages["segmentation"] == stages["universal"] == STAGES
    model = SdPlBaseline.untrained("mini-sd")
    assert (model.side, model.config.border, model.prompts.text.shape) == (128, 4, (1, 24, 128))
    with torch.no_grad():
        model.prompts.border[PHOTO], model.prompts.border[SKETCH] = 0.25, 0.5
        framed = model.prompts.add_border(torch.zeros(2, 3, 128, 128), torch.tensor([SKETCH, PHOTO]))
        assert float(framed[1, :, :, :4].min()) == float(framed[1, :, -4:].max()) == 0.25
        assert float(framed[0, :, 0].min()) == 0.5 and not framed[:, :, 4:-4, 4:-4].any()
        half = model.prompts.add_border(torch.zeros(1, 3, 64, 64), torch.tensor([PHOTO]))
        assert float(half[:, :, :2].min()) == 0.25 and not half[:, :, 2:-2, 2:-2].any()


def test_at_the_sizes_of_sd21(tmp_path: Path) -> None:
    """A prompt of 77 x 1024 and squares of 480 px, before a UNet whose blocks alone are narrow."""
    words = tokenizer("!", length=77)
    text = {**TEXT, "hidden_size": 1024, "num_hidden_layers": 1, "max_position_embeddings": 77}
    torch.manual_seed(0)
    UNet2DConditionModel(**{**UNET, "cross_attention_dim": 1024, "sample_size": 96}).save_pretrained(tmp_path / "unet")
    AutoencoderKL(**VAE).save_pretrained(tmp_path / "vae")
    CLIPTextModel(CLIPTextConfig(vocab_size=len(words), **text)).save_pretrained(tmp_path / "text_encoder")
    DDIMScheduler(**SCHEDULE).save_pretrained(tmp_path / "scheduler")
    words.save_pretrained(tmp_path / "tokenizer")
    model = SdPlBaseline.untrained(str(tmp_path), "instance-retrieval")
    assert (model.side, model.config.border) == (480, 16)
    assert model.prompts.text.shape == (1, 77, 1024)
    assert model.prompts.border.shape == (2, 3, 480**2 - 448**2)
    maps = SdPl(model).maps((squares(1, 480),), SKETCH)
    assert maps.shape == (1, model.dim, 60, 60)
    maps[..., 0, 0].sum().backward()
    assert model.prompts.text.grad is not None and model.prompts.border.grad is not None


def test_gradient_reaches_prompts_and_nothing_else(sd_folder: Path) -> None:
    method = SdPl(SdPlBaseline.untrained(str(sd_folder), "instance-retrieval"))
    method.trained.train()
    (method.maps((squares(),), PHOTO)[:, 0] ** 2).sum().backward()
    prompts = method.model.prompts
    assert {name for name, p in method.trained.named_parameters()} == {"text", "border"}
    assert prompts.text.grad is not None and bool(prompts.text.grad.any())
    assert prompts.border.grad is not None and bool(prompts.border.grad[PHOTO].any())
    assert not prompts.border.grad[SKETCH].any()
    assert not any(p.requires_grad or p.grad is not None for p in method.model.diffusion.parameters())


def test_gradient_reaches_unet_and_vision_encoder_and_nothing_else(sd_folder: Path, clip_folder: Path) -> None:
    method = Finetuning(FinetunedBaseline.untrained(str(sd_folder), str(clip_folder)))
    plain = SdClipBaseline.load(str(sd_folder), str(clip_folder))
    views = [plain.prepare(square, "photo") for square in squares()]
    with torch.no_grad():
        # Before a step it is B-SD+CLIP; on some processors weights that want gradients take another kernel.
        assert torch.allclose(method.model.forward(views).maps, plain.forward(views).maps, atol=1e-6)
        given = method.cached_inputs()
        inputs = tuple(torch.stack([of.encode(square[None])[0] for square in squares()]) for of in given)
        assert torch.allclose(method.maps(inputs, PHOTO), plain.forward(views).maps, atol=1e-5)
    maps = method.maps(inputs, PHOTO)
    (maps * torch.randn(maps.shape, generator=torch.Generator().manual_seed(0))).sum().backward()
    reached = {name for name, p in method.trained.named_parameters() if p.grad is not None and bool(p.grad.any())}
    rest = {name for name, _ in method.trained.named_parameters()} - reached
    # A key's bias adds the same to all of a query's logits, which a softmax does not see.
    unread = ("unet.up_blocks.3", "unet.conv_", "vision.encoder.layers.2", "vision.post_layernorm", "vision.pre_")
    assert all(name.startswith(unread) or name.endswith("k_proj.bias") for name in rest), sorted(rest)
    assert {name.split(".")[1] for name in reached if name.startswith("unet")} >= {"down_blocks", "mid_block"}
    assert any(name.startswith("unet.up_blocks.2") for name in reached)
    assert any(name.startswith("vision.encoder.layers.0") for name in reached)
    model = method.model
    frozen = [*model.diffusion.vae.parameters(), *model.clip.model.text_model.parameters()]
    assert not any(p.requires_grad or p.grad is not None for p in frozen)


@pytest.fixture(scope="module")
def asked() -> list[str]:
    """The frozen encoders that ran while `left` was made."""
    return []


@pytest.fixture(scope="module")
def left(
    data: list[Dataset], model_folder: Path, cache: Path, asked: list[str], tmp_path_factory: pytest.TempPathFactory
) -> Left:
    """What either method leaves for recognition, and the model as it was in training; SketchFusion went first."""
    base, made = tmp_path_factory.mktemp("left"), Left()
    given: dict[str, Any] = {"model": str(model_folder), "settings": FEW["recognition"], "cache": cache}
    train_task("recognition", data, base / "fused", **given)
    for method, (encoder, name) in CACHED.items():
        with pytest.MonkeyPatch.context() as patch:
            encode = getattr(encoder, name)
            patch.setattr(encoder, name, lambda *of, method=method, encode=encode: asked.append(method) or encode(*of))
            made[method] = base / method, train_task("recognition", data, base / method, method=method, **given)
    return made


def test_a_warm_cache_runs_no_cached_encoder(left: Left, asked: list[str]) -> None:
    assert list(left) == METHODS and asked == []


@pytest.mark.parametrize(("method", "task"), [("SD-PL", "recognition"), ("B-Finetuning", "universal")])
def test_a_task_leaves_a_folder_that_loads_for_it(
    task: str,
    method: str,
    data: list[Dataset],
    model_folder: Path,
    cache: Path,
    left: Left,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    if task == "recognition":
        out, trained = left[method]
    else:
        out = tmp_path
        trained = train_task(task, data, out, str(model_folder), settings=FEW[task], cache=cache, method=method)
    assert [row["step"] for row in log(out, task, "validation")] == ["2"]
    loaded = load(out)
    photo, sketch = next(data[0].root.rglob("*.jpg")), next(data[0].root.rglob("*-1.png"))
    for picture, kind in ((photo, "photo"), (sketch, "sketch")):
        assert torch.equal(loaded.embed([picture], kind, task), trained.embed([picture], kind))
        assert torch.equal(loaded.extract([picture], kind)[0].data, trained.extract([picture], kind)[0].data)
    assert loaded.fingerprint == trained.fingerprint
    assert bool(loaded.centring.centre.any())
    assert loaded.heads_for(task).classifier is not None
    assert (loaded.heads_for(task).threshold is not None) == (task == "universal")
    assert loaded.serves("retrieval") == (task == "universal")
    if task != "universal":
        assert loaded.heads_for("retrieval").classifier is None
        with pytest.raises(WeightsError, match=f"has weights for '{task}' only, not for 'retrieval'"):
            loaded.embed([photo], task="retrieval")
    assert not [path.name for path in out.iterdir() if path.name.startswith(".writing")]
    assert not [path for path in out.rglob("*") if path.suffix in PICKLES]
    assert "shards" not in capsys.readouterr().err


def test_the_centring_is_that_of_the_mean_of_six_draws(
    data: list[Dataset], model_folder: Path, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Single draws, which training sees, have far higher maxima in the fine stages."""
    monkeypatch.setattr("sketchfusion.lab.training.train.STATISTICS_BATCHES", 8)
    arguments: dict[str, Any] = {"settings": FEW["instance-retrieval"], "cache": cache, "method": "SD-PL"}
    model = train_task("instance-retrieval", data[:1], tmp_path, str(model_folder), **arguments)
    assert isinstance(model, SdPlBaseline)
    views = [model.prepare(path, "photo") for path in sorted(data[0].root.rglob("*.jpg"))]

    def offset(of: SdPlBaseline) -> float:
        with torch.no_grad():
            return float(of.forward(views).vectors.mean(0).abs().mean())

    single = SdPlBaseline(model.diffusion, replace(model.config, ensemble=1), "single", model.device)
    single.prompts.load_state_dict(model.prompts.state_dict())
    assert offset(model) < 0.2 < 0.5 * offset(single)


def settings_of(method: str, steps: int) -> dict[str, str]:
    rate = "0.03" if method == "SD-PL" else "0.003"
    return SHORT | {"steps": str(steps), "lr": rate, "validate_every": "0", "full_size_after": "1", "batch": "4"}


@pytest.mark.parametrize("method", METHODS)
def test_losses_fall(method: str, data: list[Dataset], model_folder: Path, cache: Path, tmp_path: Path) -> None:
    """Nothing is trained for correspondence beside what the method trains."""
    settings = settings_of(method, 16) | {"warps": "8"}
    train_task("correspondence", data[:1], tmp_path, str(model_folder), False, settings, None, None, cache, method)
    losses = [float(row["loss"]) for row in log(tmp_path, "correspondence")]
    assert sum(losses[-6:]) < 0.97 * sum(losses[:6])


def test_weights_of_the_parts_of_an_embedding_are_settings() -> None:
    config = Fused.configure("mini", "instance-retrieval", {"whole": "0.5"})
    assert config.whole == 0.5 and Fused.configure("mini", "instance-retrieval", {}).whole == 0
    assert Fused.configure("mini", "universal", {}).dense > 0
    with pytest.raises(ValueError, match="'whole=-1' must be at least 0"):
        Fused.configure("mini", "instance-retrieval", {"whole": "-1"})


def test_a_killed_training_resumes_bit_for_bit(
    data: list[Dataset], model_folder: Path, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SD-PL draws its noise with torch's own random numbers, which must go on too."""
    schedule = replace(CorrespondenceRecipe(), steps=3, warmup=1, validate_every=0).schedule
    monkeypatch.setattr(CorrespondenceRecipe, "schedule", replace(schedule, checkpoint_seconds=0.0))
    settings = SHORT | {"steps": "3", "batch": "4", "warps": "8"}
    arguments: dict[str, Any] = {"model": str(model_folder), "settings": settings, "cache": cache, "method": "SD-PL"}
    whole = train_task("correspondence", data[:1], tmp_path / "whole", **arguments)
    original, calls = CorrespondenceObjective.losses, 0

    def dies(*given: object) -> Losses:
        nonlocal calls
        calls += 1
        if calls == 3:
            raise RuntimeError("dies")
        return original(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(CorrespondenceObjective, "losses", dies)
    with pytest.raises(RuntimeError, match="dies"):
        train_task("correspondence", data[:1], tmp_path / "broken", **arguments)
    assert not (tmp_path / "broken" / "config.json").exists()
    monkeypatch.setattr(CorrespondenceObjective, "losses", original)
    again = train_task("correspondence", data[:1], tmp_path / "broken", resume=True, **arguments)
    assert again.fingerprint == whole.fingerprint


def test_finetuning_saves_two_models_in_the_hub_layout(left: Left, sd_folder: Path) -> None:
    folder = left["B-Finetuning"][0]
    read = load(f"{folder / 'sd'}+{folder / 'clip'}")  # any tool may, without the centring and the heads
    tuned = load(folder)
    assert isinstance(tuned, FinetunedBaseline) and isinstance(read, SdClipBaseline)
    assert tuned.with_noise(0).fingerprint == tuned.fingerprint != tuned.with_noise(1).fingerprint
    views = [read.prepare(square, "photo") for square in squares()]
    with torch.no_grad():
        centred = tuned.centring(read.forward(views).maps, torch.full((2,), PHOTO))
        assert torch.equal(tuned.forward(views).maps, centred)
        assert not torch.equal(
            read.forward(views).maps, SdClipBaseline.load(str(sd_folder), str(folder / "clip")).forward(views).maps
        )
    assert "_name_or_path" not in (folder / "sd" / "unet" / "config.json").read_text()


def test_finetuning_takes_a_convolutional_clip(sd_folder: Path, tmp_path: Path) -> None:
    save_convolutional_clip(convolutional_clip(["cat", "cup"], ["cat"]), tmp_path / "clip")
    method = Finetuning(FinetunedBaseline.untrained(str(sd_folder), str(tmp_path / "clip")))
    inputs = tuple(torch.stack([of.encode(square[None])[0] for square in squares()]) for of in method.cached_inputs())
    (method.maps(inputs, PHOTO) ** 3).sum().backward()
    reached = {name for name, p in method.trained["vision"].named_parameters() if p.grad is not None}
    dense = method.model.clip.model.image.dense_block
    assert {name.split(".")[1] for name in reached if "blocks" in name} == {str(n) for n in range(dense + 1)}
    with torch.no_grad():
        for p in method.trained["vision"].parameters():
            p += 1e-3 * torch.randn(p.shape, generator=torch.Generator().manual_seed(0))
    method.model.save_pretrained(tmp_path / "out")
    views = [method.model.prepare(square, "sketch") for square in squares()]
    with torch.no_grad():
        read = load(tmp_path / "out").forward(views).vectors  # weights that want gradients may take another kernel
        assert torch.allclose(read, method.model.forward(views).vectors, atol=1e-5)


@pytest.mark.parametrize("method", METHODS)
def test_damaged_folders_are_refused_in_one_line(method: str, left: Left, tmp_path: Path) -> None:
    def broken(**changes: Any) -> Path:
        folder = tmp_path / f"broken{len(list(tmp_path.iterdir()))}"
        shutil.copytree(left[method][0], folder)
        config = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps(config | changes))
        return folder

    cut = broken()
    (cut / "model.safetensors").write_bytes((cut / "model.safetensors").read_bytes()[:-9])
    headless = broken()
    (headless / "heads.safetensors").write_bytes(b"nothing")
    lost = broken()
    (lost / "model.safetensors").unlink()
    said = {
        cut: "cannot be read",
        headless: "heads.safetensors cannot be read",
        lost: "has no model.safetensors",
        broken(depth=3): "has the unknown key 'depth'",
        broken(diffusion_hash="0" * 64): "holds weights",
        broken(format=9): "in format 1",
        broken(method="SD-XXL"): "a method that this version does not know",
    }
    if method == "SD-PL":
        said |= {
            broken(stages=["up9"]): "no stage 'up9'",
            broken(border=5): "do not fit",
            broken(side="wide"): "do not fit",
        }
    else:
        other = broken()
        shutil.rmtree(other / "sd" / "unet")
        said[other] = "holds weights|is missing"
    for folder, line in said.items():
        with pytest.raises(WeightsError, match=line) as caught:
            load(folder)
        assert "\n" not in str(caught.value)


def test_a_caption_guides_sd_pl_in_place_of_the_learned_text(left: Left) -> None:
    model = load(left["SD-PL"][0])
    assert isinstance(model, SdPlBaseline)
    sketch = squares(1)[0]
    plain, told = model.embed([sketch]), model.with_caption("a cat")
    assert not torch.equal(told.embed([sketch]), plain)
    assert torch.equal(model.embed([sketch]), plain) and told.fingerprint == model.fingerprint
    with torch.no_grad():
        model.prompts.text.copy_(model.diffusion.null_prompt)
    assert torch.equal(model.with_caption("").embed([sketch]), model.embed([sketch]))


def test_sketches_seen_under_words_are_measured_for_sd_pl(left: Left) -> None:
    named = list(zip(squares(2), ("cat", "dog"), strict=True))
    figures = benchmark_search(load(left["SD-PL"][0]), named, named).to_json()
    assert 0 < figures["mAP@all, words as the prompt"] <= 1


def test_the_commands(
    data: list[Dataset],
    left: Left,
    model_folder: Path,
    cache: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    common = ["train", "recognition", "--data", str(data[0].root), "--model", str(model_folder), "--cache", str(cache)]
    common += [part for key, value in FEW["recognition"].items() for part in ("--set", f"{key}={value}")]
    out = ["--out", str(tmp_path / "out")]
    assert terminal.run(app, [*common, *out, "--method", "SD-PL"]) == 0
    sketch = str(next(data[0].root.rglob("*-1.png")))
    for folder in (tmp_path / "out", left["B-Finetuning"][0]):
        capsys.readouterr()
        assert terminal.run(app, ["recognize", sketch, "--model", str(folder), "--json"]) == 0
        assert {row["label"] for row in json.loads(capsys.readouterr().out)} == set(CATEGORIES)
    refused = {
        "no method is called 'SD-XXL'; choose one of SketchFusion, SD-PL, B-Finetuning": ["--method", "SD-XXL"],
        "'fusion.width' is not a setting": ["--method", "SD-PL", "--set", "fusion.width=8"],
        "--start is for light weights of SketchFusion": ["--method", "SD-PL", "--start", str(model_folder)],
        "cannot read words": [],
    }
    for line, options in refused.items():
        command = [*common, *out, *options] if options else ["recognize", sketch, "--model", str(tmp_path / "out")]
        assert terminal.run(app, command if options else [*command, "--labels", "cat,teapot"]) == 2
        assert line in " ".join(capsys.readouterr().err.split())


def test_their_rows_of_a_table_are_trained_loaded_and_measured(model_folder: Path, left: Left, tmp_path: Path) -> None:
    rows = tuple(row for row in TABLES["3"].rows if row.method != "SketchFusion")
    assert [row.name for row in rows] == ["B-Finetuning", "SD-PL"]
    assert all({row.name for row in rows} <= {row.name for row in TABLES[n].rows} for n in "12345")

    def train(task: str, folder: Path, settings: Mapping[str, str], method: str) -> None:
        choose(task, method, settings)  # raises for settings that do not fit
        shutil.copytree(left[method][0], folder)

    def measure(task: str, model: Any) -> dict[str, Estimate]:
        share = float(model.classify([squares(1)[0]]).softmax(1).max())
        return {"Acc@1": bootstrap([share])}

    table = TableLayout("Recognition", (TableColumn("recognition", "Acc@1"),), rows)
    filler = TableFiller(str(model_folder), tmp_path, load, train, measure)
    cells = filler.fill("3", table)
    assert [len(cell.values) for cell in cells] == [1, 1]
    assert cells[0].paper == pytest.approx(0.1237) and cells[1].paper is None
    assert cells[0].weights != cells[1].weights
    assert filler.fill("3", table) == cells


@torch.no_grad()
def test_another_draw_of_the_noise_is_another_model(sd_folder: Path, clip_folder: Path) -> None:
    plain = SdClipBaseline.load(str(sd_folder), str(clip_folder))
    views = [plain.prepare(square, "photo") for square in squares()]
    again, other = plain.with_noise(0), plain.with_noise(1)
    assert again.fingerprint == plain.fingerprint != other.fingerprint
    before = plain.forward(views).maps
    assert torch.equal(again.forward(views).maps, before) and not torch.equal(other.forward(views).maps, before)
    tokens = plain.clip.channels
    assert torch.equal(other.forward(views).maps[:, -tokens:], before[:, -tokens:])  # CLIP sees no noise
