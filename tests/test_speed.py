"""What things cost: each way of doing something gives what the plain way gives, and what is printed is complete."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional as F
from typer.testing import CliRunner

from fixtures.tiny import TEXT, UNET, VAE, VISION
from sketchfusion.backbones import folders
from sketchfusion.cli import app
from sketchfusion.features import SketchFusion
from sketchfusion.lab.evaluation import search_speed, speed
from sketchfusion.lab.evaluation.speed import (
    Cost,
    bench_extract,
    bench_metrics,
    by_definition,
    flop_of,
    in_new_process,
    model_to_time,
    peak_bytes,
    reference_maps,
    with_draws,
    with_ratios,
)
from sketchfusion.lab.training.bank import world_banks
from sketchfusion.lab.training.methods import CachedEncoder, Fused
from sketchfusion.models import load
from sketchfusion.world import World

COLUMNS = {"name", "images_per_second", "milliseconds", "peak_bytes", "flop", "ratio", "more"}


@pytest.fixture
def in_this_process(few_categories: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let benchmarks measure little, and in the test's own process: starting one takes longer than what it measures."""
    monkeypatch.setattr(speed, "THINGS", 1)
    monkeypatch.setattr(speed, "TRAIN_CLASSES", 2)
    monkeypatch.setattr(search_speed, "QUERIES", 20)
    for module in (speed, search_speed):
        monkeypatch.setattr(module, "in_new_process", lambda function, *args: function(*args))


def bench(*arguments: str) -> list[dict[str, Any]]:
    done = CliRunner().invoke(app, ["bench", *arguments, "--json"], catch_exceptions=False)
    rows: list[dict[str, Any]] = json.loads(done.stdout)
    assert all(row.keys() == COLUMNS and row["milliseconds"] > 0 and row["peak_bytes"] > 1e7 for row in rows)
    return rows


def test_the_first_way_is_what_the_others_are_compared_with() -> None:
    costs = [Cost(f"{ms}", 1000 / ms, ms, 1, 0, 1) for ms in (4.0, 1.0, 8.0)]
    assert [cost.ratio for cost in with_ratios(costs)] == [1.0, 4.0, 0.5]


@pytest.mark.slow
def test_memory_of_a_new_process_is_its_own() -> None:
    filled = np.ones(40_000_000)
    assert in_new_process(peak_bytes) + filled.nbytes / 2 < peak_bytes()


def test_operations_of_attention_are_counted() -> None:
    query = torch.zeros(1, 2, 16, 8)  # two heads, 16 tokens of 8 channels
    assert flop_of(lambda: F.scaled_dot_product_attention(query, query, query)) == 2 * (2 * 2 * 16 * 16 * 8)


def test_one_ranking_is_scored_as_worked_out_by_hand() -> None:
    similarity = np.array([0.1, 0.9, 0.5, 0.5, 0.3] + [0.0] * 195, np.float32)
    found = by_definition(similarity, np.array([True, False, False, True, True] + [False] * 195))  # ranks 5, 3 and 4
    assert found["mAP@all"] == pytest.approx((1 / 3 + 2 / 4 + 3 / 5) / 3)
    assert found["mAP@200/min(k,R)"] == found["mAP@all"]
    assert (found["P@100"], found["P@200"]) == (0.03, 0.015)


@pytest.mark.usefixtures("in_this_process")
def test_metrics_in_chunks_are_those_of_the_definition() -> None:
    plain, together = bench_metrics(seed=0, queries=120, photos=300, width=32)
    assert together.more["largest difference"] < 1e-5
    assert plain.ratio == 1 and plain.flop == together.flop == 2 * 300 * 32


def test_reference_maps_equal_those_of_the_model(model_folder: Path) -> None:
    model = load(model_folder)
    assert isinstance(model, SketchFusion)
    with_draws(model, 2)
    photo = World(0).photo("horse", 0).photo
    again = model.extract(photo)[0].data
    assert torch.allclose(reference_maps(model, photo)[0], again, atol=1e-4 * float(again.abs().max()))
    assert not torch.allclose(with_draws(model, 1).extract(photo)[0].data, again, atol=1e-3 * float(again.abs().max()))


@pytest.mark.usefixtures("in_this_process")
def test_bench_extract_reports_savings_and_equal_features(model_folder: Path) -> None:
    released, once, single, batched, script, clean = bench(
        "extract", "--model", str(model_folder), "--pictures", "1", "--draws", "2"
    )
    assert released["ratio"] == 1 and min(row["more"]["cosine"] for row in (released, once)) > 0.9999
    for row in (batched, script):
        assert row["more"]["cosine"] == pytest.approx(single["more"]["cosine"], abs=1e-5)
    assert released["flop"] > 1.2 * once["flop"] > 1.2 * batched["flop"] and batched["flop"] == single["flop"]
    assert script["flop"] > 1.05 * batched["flop"] > 1.05 * clean["flop"] > 1e7
    assert 0 < single["more"]["share of matrix rate"] < 1.5
    with pytest.raises(ValueError, match="fuses nothing"):
        bench_extract("mini:B-CLIP", 1, 0, lambda done, total: None)


@pytest.mark.usefixtures("few_categories")
def test_cached_features_equal_those_computed_anew(model_folder: Path, tmp_path: Path) -> None:
    method = Fused.create(str(model_folder), "retrieval", {}, None)
    bank = world_banks(1, method.model.side, tmp_path)[1].at([0, 1])
    encode = CachedEncoder(method, tmp_path)
    kept = encode([bank], method.model.side)
    encode.keep("all")
    live = CachedEncoder(method, tmp_path)([bank], method.model.side)
    names = [of[0] for of in bank.names]
    assert live.by_name == kept.by_name
    said = zip(*(of.draw_named(names, torch.Generator()).features for of in (live, kept)), strict=True)
    assert all(torch.allclose(one, other, atol=2e-3 * float(one.abs().max())) for one, other in said)


@pytest.mark.usefixtures("in_this_process")
def test_bench_train_reports_what_a_cache_saves(model_folder: Path) -> None:
    asked, kept, less, released = bench("train", "--model", str(model_folder), "--steps", "1", "--draws", "2")
    assert asked["ratio"] == 1 and kept["flop"] < 0.8 * asked["flop"]
    assert kept["flop"] < less["flop"] < released["flop"]  # features anew on the way back; two passes, none back
    assert kept["more"].keys() - asked["more"].keys() == {"seconds before", "steps until it pays"}


@torch.no_grad()
def test_a_pair_without_published_weights_is_timed_at_its_sizes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(folders.UNETS, "sd21", {"sample_size": 8, **UNET})
    monkeypatch.setattr(folders, "VAE", VAE)
    monkeypatch.setattr(folders, "CLIP_VISION", VISION)
    monkeypatch.setattr(folders, "CLIP_TEXT", TEXT)
    model = model_to_time("full")
    assert isinstance(model, SketchFusion) and model.config.diffusion == "sd21"
    assert model.extract(World(0).photo("horse", 0).photo)[0].data.isfinite().all()


@pytest.mark.usefixtures("in_this_process")
def test_search_compares_each_way_with_a_scan(model_folder: Path, tmp_path: Path) -> None:
    asked = "--model", str(model_folder), "--rows", "1000", "--folder", str(tmp_path)
    rows = {row["name"]: row for row in bench("search", *asked)}
    assert rows["exact, in memory"]["more"]["recall@10"] == rows["scan of the store"]["more"]["recall@10"] == 1
    assert rows["approximate index"]["more"]["recall@10"] > 0.9
    assert (tmp_path / "gallery").is_dir()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("nothing",), "No such command 'nothing'"),
        (("train", "--rows", "2000"), "No such option: --rows"),
        (("metrics", "--model", "mini"), "No such option: --model"),
    ],
)
def test_what_is_not_measured_is_refused(arguments: tuple[str, ...], said: str) -> None:
    done = CliRunner().invoke(app, ["bench", *arguments])
    assert done.exit_code == 2 and said in done.output
