"""The demo from end to end on tiny models: gallery, ranking beside chance, sheet."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from PIL import Image
from rich.console import Console

from fixtures.photos import photo
from sketchfusion.lab.datasets import world
from sketchfusion.lab.evaluation import demo
from sketchfusion.world import World


@pytest.mark.usefixtures("few_categories")
def test_the_demo_ranks_models_beside_chance(
    model_folder: Path, clip_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(world, "PHOTOS", 2)
    monkeypatch.setattr(world, "SKETCHES", 1)
    said = io.StringIO()
    models = {str(model_folder): "fused", str(clip_folder): "B-CLIP"}
    results = demo.run_demo(tmp_path / "demo", models, Console(file=said, width=100))
    count = len(World(split="unseen").categories)
    assert list(results) == ["fused", "B-CLIP"]
    counts = {"queries": count, "queries left out": 0, "gallery": 2 * count}
    assert all(result.counts == counts for result in results.values())
    assert "chance" in said.getvalue() and "mAP@all" in said.getvalue() and "P@10" in said.getvalue()
    assert Image.open(tmp_path / "demo" / "sheet.png").size > (1000, 1000)
    figures = json.loads((tmp_path / "demo" / "results.json").read_text())
    assert figures["fused"]["mAP@all"] == pytest.approx(results["fused"].metrics["mAP@all"].mean)
    assert figures["fused"]["chance"]["P@k"] == pytest.approx(1 / count)
    again = demo.run_demo(tmp_path / "demo", {str(clip_folder): "B-CLIP"}, Console(file=said))
    assert again["B-CLIP"].metrics == results["B-CLIP"].metrics


def test_ten_drawings_are_looked_for_among_own_photos(model_folder: Path, tmp_path: Path) -> None:
    photos = tmp_path / "my photos"
    photos.mkdir()
    for number in range(3):
        photo(photos / f"{number}.jpg", number, (80, 60))
    said = io.StringIO()
    sheet = demo.search_own_photos(photos, tmp_path / "demo", str(model_folder), Console(file=said, width=200))
    with Image.open(sheet) as picture:
        assert picture.height > 10 * 144 and picture.width > 3 * 144
    assert "3 embedded" in said.getvalue()
    demo.search_own_photos(photos, tmp_path / "demo", str(model_folder), Console(file=said, width=200))
    assert "0 embedded, 3 unchanged" in said.getvalue()
