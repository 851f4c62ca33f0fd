"""A small DINO pretrained on photos alone, and what is fused with a DINO's tokens in place of CLIP's."""

from __future__ import annotations

import csv
import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from fixtures.full_size import save_dinov2_s14
from fixtures.roots import SMALL
from sketchfusion.backbones.encoders import FrozenDino
from sketchfusion.backbones.folders import load_dino
from sketchfusion.backbones.mini import build_dino
from sketchfusion.baselines.frozen import DinoBaseline
from sketchfusion.cli import app, terminal
from sketchfusion.features import FeaturesConfig, SketchFusion
from sketchfusion.fusion import FusionConfig
from sketchfusion.gallery import Gallery, confidence
from sketchfusion.io.weights import WeightsError
from sketchfusion.lab import datasets
from sketchfusion.lab.evaluation.table import TABLES
from sketchfusion.lab.training import recipes
from sketchfusion.lab.training.loop import Schedule
from sketchfusion.lab.training.methods import Fused
from sketchfusion.lab.training.pretrain.dino import (
    OFFSETS,
    SelfDistillation,
    attend_to_neighbours,
    centred,
    class_tokens,
    pretrain_dino,
)
from sketchfusion.lab.training.pretrain.run import run
from sketchfusion.lab.training.sources import Sources
from sketchfusion.lab.training.train import train_task
from sketchfusion.models import frozen_part, load
from sketchfusion.tasks.recognition import recognize
from sketchfusion.world import export

RECIPE = replace(
    recipes.DINO["cpu"],
    schedule=Schedule(steps=4, lr=1e-3, warmup=1, checkpoint_seconds=0.0),
    batch=4,
    side=32,
    full_size_after=0.5,
    narrow=2,
    prototypes=32,
    hidden=32,
    bottleneck=16,
)


class PhotosOnly(Sources):
    """Sources that have no sketches for whoever asks."""

    def sketches(self, kept_out: bool = False) -> None:  # type: ignore[override]
        raise AssertionError("DINO learns from photos alone")

    world = sketches  # type: ignore[assignment]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("world")
    export(root, 0, ["cat", "car", "chair"], "seen", 6, 64)
    return root


@pytest.fixture(scope="module")
def sources(root: Path) -> Sources:
    return PhotosOnly([datasets.open(root)], [], root / "cache")


@pytest.fixture(scope="module")
def pretrained(sources: Sources, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("dino")
    figures = pretrain_dino(sources, RECIPE, out, None, False, None)
    assert [0 <= share <= 1 for share in figures.values()] == [True]
    return out


def log(out: Path) -> list[dict[str, str]]:
    return list(csv.DictReader((out / "training" / "dino" / "log.csv").open()))


def test_the_saved_model_loads_as_b_dino_at_its_own_size(pretrained: Path) -> None:
    model = load(pretrained / "dino")
    assert isinstance(model, DinoBaseline) and (model.side, model.dim, model.joint_dim) == (64, 192, 0)
    picture = torch.rand(3, 100, 80)
    assert model.embed(picture).shape == (1, 192)
    assert model.extract(picture)[0].data.shape == (192, 8, 8)
    assert sum(p.numel() for p in model.dino.parameters()) < 2e6
    assert all(p.stat().st_size < 4e6 for p in (pretrained / "dino").iterdir())  # in half precision


def test_every_step_logs_the_figures_that_reveal_a_collapse(pretrained: Path) -> None:
    rows = log(pretrained)
    assert len(rows) == 4
    for row in rows:
        assert 0 < float(row["entropy"]) <= float(row["used"]) + 1e-4 <= math.log(RECIPE.prototypes) + 2e-4
        assert 0.01 < float(row["spread"]) <= 1


def test_a_collapse_shows_in_its_figures() -> None:
    learner = SelfDistillation(build_dino(), RECIPE)
    same = torch.rand(1, 1, 3, 32, 32).expand(2, 6, -1, -1, -1)
    said = learner(0, same, same[:0])
    assert float(said["spread"]) < 1e-3  # every photo is one and the same to it
    assert float(said["used"]) == pytest.approx(float(said["entropy"]), abs=1e-4)


def test_centred_assignments_use_all_prototypes_equally() -> None:
    scores = torch.randn(40, 8, generator=torch.Generator().manual_seed(0)) + torch.arange(8.0)  # the last takes all
    shares = centred(scores, rounds=20)
    assert torch.allclose(shares.sum(1), torch.ones(40), atol=1e-5)
    assert torch.allclose(shares.sum(0), torch.full((8,), 5.0), atol=0.01)
    assert torch.equal(shares.argmax(1), centred(scores + 3 * torch.arange(8.0), rounds=20).argmax(1))


def test_the_last_norm_includes_the_batch_norm_of_the_heads() -> None:
    learner = SelfDistillation(build_dino(), RECIPE).train()
    seen = torch.rand(16, 3, 32, 32)
    for norm in (of for of in learner.teacher.modules() if isinstance(of, torch.nn.BatchNorm1d)):
        norm.momentum = 0.5
    for _ in range(16):  # until the running statistics have settled
        learner.teacher(seen)
    teacher = learner.teacher.eval()
    given = teacher.neck(class_tokens(teacher.vit, seen))
    kept = class_tokens(teacher.standardised(), seen)
    assert torch.allclose(kept, given, atol=1e-4)
    assert torch.allclose(kept.mean(0), torch.zeros(192), atol=0.01)


def test_the_loss_falls_on_photos_seen_again_and_again() -> None:
    torch.manual_seed(0)
    vit = build_dino()
    attend_to_neighbours(vit)
    learner = SelfDistillation(vit, replace(RECIPE, fixed=0.0, momentum=0.9))
    photos = torch.rand(8, 3, 4, 4)
    wide = torch.nn.functional.interpolate(photos, (32, 32)).expand(2, -1, -1, -1, -1)
    optimiser = torch.optim.AdamW([p for p in learner.parameters() if p.requires_grad], lr=1e-3)
    losses = []
    for step in range(12):
        said = learner(step % 2, wide, wide[:, :, :, :16, :16])
        optimiser.zero_grad()
        said["loss"].backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        losses.append(float(said["loss"].detach()))
    assert losses[-1] < losses[0] - 0.2


def test_the_teacher_follows_the_student_and_gets_no_gradient() -> None:
    torch.manual_seed(0)
    learner = SelfDistillation(build_dino(), RECIPE)
    before = [p.clone() for p in learner.teacher.parameters()]
    with torch.no_grad():
        for p in learner.student.parameters():
            p.add_(1.0)
    wide = torch.rand(2, 4, 3, 32, 32)
    learner(0, wide, wide[:0])["loss"].backward()  # type: ignore[no-untyped-call]
    moved = [float((p - old).mean()) for p, old in zip(learner.teacher.parameters(), before, strict=True)]
    assert moved == pytest.approx([1 - RECIPE.momentum] * len(moved), abs=1e-4)
    assert all(p.grad is None and not p.requires_grad for p in learner.teacher.parameters())
    grads = {name: p.grad for name, p in learner.student.named_parameters()}
    assert grads.pop("prototypes") is None  # they are fixed in the first steps
    assert sum(float(g.abs().sum()) for g in grads.values() if g is not None) > 0


def test_a_run_that_was_stopped_ends_as_one_that_was_not(sources: Sources, pretrained: Path, tmp_path: Path) -> None:
    def stop(done: int, *_: object) -> None:
        if done == 3:  # in the second part, after the checkpoint of step 2
            raise RuntimeError("killed")

    with pytest.raises(RuntimeError, match="killed"):
        pretrain_dino(sources, RECIPE, tmp_path, None, False, stop)
    assert not (tmp_path / "dino").exists()
    pretrain_dino(sources, RECIPE, tmp_path, None, True, None)
    name = "dino/model.safetensors"
    assert (tmp_path / name).read_bytes() == (pretrained / name).read_bytes()
    assert [row["loss"] for row in log(tmp_path)] == [row["loss"] for row in log(pretrained)]


def test_pretraining_can_start_from_a_folder_without_sketches(root: Path, pretrained: Path, tmp_path: Path) -> None:
    still = replace(RECIPE, schedule=replace(RECIPE.schedule, steps=1, lr=0.0))
    pretrain_dino(PhotosOnly([datasets.open(root)], [], root / "cache"), still, tmp_path, pretrained, False, None)
    before, after = (load_dino(folder / "dino").model.state_dict() for folder in (pretrained, tmp_path))
    assert before.keys() == after.keys()
    # The last norm alone takes over the batch's statistics.
    assert all(torch.equal(before[name], after[name]) for name in before if not name.startswith("layernorm."))
    with pytest.raises(WeightsError, match="nowhere"):
        pretrain_dino(
            PhotosOnly([datasets.open(root)], [], root / "cache"), still, tmp_path, tmp_path / "nowhere", False, None
        )


def test_the_command_needs_photos_and_no_sketches(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(recipes.DINO, "cpu", RECIPE)
    out = tmp_path / "out"
    assert terminal.run(app, ["pretrain", "dino", "--photos", str(root), "--out", str(out), "--steps", "1"]) == 0
    assert "nearest photo" in capsys.readouterr().out and (out / "card.json").is_file()
    assert terminal.run(app, ["pretrain", "clip", "--photos", str(root), "--out", str(out)]) == 2
    assert "clip learns from sketches too" in capsys.readouterr().err
    drawings = tmp_path / "drawings"
    drawings.mkdir()
    (drawings / "cat.ndjson").write_text('{"word": "cat", "recognized": true, "drawing": [[[0, 255], [0, 255]]]}\n')
    with pytest.raises(ValueError, match=f"no photos to learn from in {drawings}"):
        run("dino", "cpu", [datasets.open(drawings)], [], out)


def test_initial_attention_heads_of_a_vit_attend_to_their_neighbour() -> None:
    vit = build_dino()
    attend_to_neighbours(vit)
    vit.set_attn_implementation("eager")
    seen = vit(torch.rand(1, 3, 64, 64), output_attentions=True).attentions[0][0]
    middle = 1 + 3 * 8 + 4
    for head, (x, y) in enumerate(OFFSETS[0]):
        assert int(seen[head, middle].argmax()) == middle + x + 8 * y
    assert class_tokens(vit, torch.rand(2, 3, 24, 24)).shape == (2, 192)  # a narrow crop


# A DINO in place of CLIP


@pytest.fixture(scope="module", params=["dino", "dinov2"])
def on_dino(request: pytest.FixtureRequest, model_folder: Path, dino_folder: Path, dinov2_folder: Path) -> SketchFusion:
    folder = {"dino": dino_folder, "dinov2": dinov2_folder}[request.param]
    return Fused.create(str(model_folder), "retrieval", {"clip": str(folder)}, None).model


def test_the_last_blocks_tokens_of_a_dino_are_injected(on_dino: SketchFusion) -> None:
    assert isinstance(on_dino.clip, FrozenDino) and on_dino.config.clip_layer == -1
    picture = torch.rand(3, 64, 64)
    encoded = on_dino.encode(picture)
    with torch.no_grad():
        assert torch.equal(encoded.tokens, on_dino.clip(picture[None]).dense)
        assert not torch.allclose(encoded.tokens, on_dino.clip(picture[None], -2).dense, atol=1e-3)
    assert encoded.vectors.shape == (1, on_dino.clip.dim) and on_dino.joint_dim == 0 and on_dino.labels == ()
    with pytest.raises(ValueError, match="layer 9 does not exist"):
        on_dino.clip(picture[None], 9)


def test_text_is_refused_in_one_line(
    on_dino: SketchFusion, tmp_path: Path, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    few = confidence.reference_sketches()[:2]
    monkeypatch.setattr(confidence, "reference_sketches", lambda: few)  # more take longer than all else here
    gallery = Gallery.open(str(tmp_path / "g"), on_dino)
    photo, another, *_ = sorted(root.rglob("*.jpg"))
    assert not gallery.add([photo, another]).failed
    assert gallery.search(like=photo, k=1)[0].score > 0.95
    for refused in (
        lambda: on_dino.encode_text(["a cat"]),
        lambda: on_dino.encode_image([photo]),
        lambda: recognize(on_dino, [photo], ["cat", "dog"], kind="photo"),
        lambda: gallery.search(text="red"),
    ):
        with pytest.raises(ValueError, match="cannot read words") as caught:
            refused()  # type: ignore[no-untyped-call]
        assert "\n" not in str(caught.value)


def test_light_parts_are_trained_on_a_dino_saved_and_loaded(
    root: Path, model_folder: Path, dino_folder: Path, tmp_path: Path
) -> None:
    settings = {"steps": "3", "warmup": "1", "validation_batches": "0", **SMALL["recognition"], "views": "1"}
    task = "recognition"
    on_clip = train_task(task, [datasets.open(root)], tmp_path / "clip", str(model_folder), settings=settings)
    cache = tmp_path / "clip" / "training" / "cache"
    kept = set(cache.iterdir())
    settings["clip"] = str(dino_folder)
    trained = train_task(
        task, [datasets.open(root)], tmp_path / "dino", str(model_folder), settings=settings, cache=cache
    )
    assert set(cache.iterdir()) > kept  # the same cache keeps the tokens of both apart
    loaded = SketchFusion.from_pretrained(tmp_path / "dino", task=task)
    photo = next(root.rglob("*.jpg"))
    assert torch.equal(loaded.embed([photo]), trained.embed([photo]))
    assert loaded.fingerprint == trained.fingerprint != on_clip.fingerprint
    assert loaded.config.clip == str(dino_folder)
    assert all(bool(weight.any()) for weight in loaded.model.light.injection.state_dict().values())
    sketch = next((root / "256x256" / "sketch").rglob("*.png"))
    assert recognize(loaded, [sketch], k=1)[0][0].label in ("cat", "car", "chair")  # by the classifier, without words


@pytest.mark.slow
def test_a_full_size_dinov2_passes_through_the_injection(sd_folder: Path, tmp_path: Path) -> None:
    folder = save_dinov2_s14(tmp_path / "dinov2")
    config = FeaturesConfig(str(sd_folder), str(folder), side=64, clip_layer=-1, fusion=FusionConfig(grid=8, width=16))
    model = SketchFusion.untrained(config=config)
    picture = torch.rand(3, 224, 224)
    assert model.encode(picture).tokens.shape == (1, 384, 16, 16)
    with torch.no_grad():
        for weight in model.model.light.injection.parameters():
            weight.normal_(std=0.05)
    feature = model.extract(picture)[0].data
    assert feature.shape == (16, 8, 8) and bool(feature.isfinite().all())
    assert not torch.equal(feature, SketchFusion.untrained(config=config).extract(picture)[0].data)


def test_each_pair_names_its_dinos() -> None:
    assert frozen_part("mini", "B-DINO") == frozen_part("mini", "B-DINOv2") == "mini-dino"
    assert (frozen_part("full", "B-DINO"), frozen_part("full", "B-DINOv2")) == ("dino-s8", "dinov2-s14")
    row = next(row for row in TABLES["6"].rows if row.encoder)
    assert frozen_part("full", row.encoder) == "dinov2-s14"
    with pytest.raises(WeightsError, match="'clip-l14' is not a pair"):
        frozen_part("clip-l14", "B-DINO")
    with pytest.raises(WeightsError, match="no baseline 'B-MAE'; it has B-CLIP, B-DINO"):
        frozen_part("mini", "B-MAE")
