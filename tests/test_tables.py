"""The paper's tables: filled by fakes whose figures are known, gone on with, written; and measured on Sketch World."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageFont

from fixtures.pixels import PixelExtractor
from sketchfusion.cli import app, terminal
from sketchfusion.io.weights import WeightsError
from sketchfusion.lab import datasets
from sketchfusion.lab.datasets.world import SketchWorld
from sketchfusion.lab.evaluation import figures
from sketchfusion.lab.evaluation.fill import Cell, TableFiller, write
from sketchfusion.lab.evaluation.metrics import Estimate, bootstrap
from sketchfusion.lab.evaluation.table import TABLES, TableColumn, TableLayout, TableRow, in_paper, measure_task
from sketchfusion.lab.training.train import settings_for
from sketchfusion.models import frozen_part, load
from sketchfusion.world import export
from test_layouts import drawings_at, picture, psc6k_at, sketchy_at

ANYTHING = {c.metric: bootstrap([0.4, 0.6]) for table in TABLES.values() for c in table.columns}
TABLE = TableLayout(
    "Trial",
    (TableColumn("retrieval", "mAP@all"), TableColumn("segmentation", "mIoU")),
    (
        TableRow("B-SD", "B-SD"),
        TableRow("Ours", settings={"lr": "1"}, seeds=2),
        TableRow("Theirs", method="SD-PL"),
        TableRow("SD v9", checkpoint=("diffusion", "sd14")),
    ),
)


class Workshop:
    """Trains by writing the seed down, loads a model that has it, measures what it says."""

    def __init__(self) -> None:
        self.trained: list[tuple[str, Mapping[str, str], str]] = []
        self.measured: list[str] = []

    def load(self, name: str) -> PixelExtractor:
        config = Path(name) / "config.json"
        return PixelExtractor(name, config.read_text() if config.is_file() else name)

    def train(self, task: str, folder: Path, settings: Mapping[str, str], method: str) -> None:
        self.trained.append((task, settings, method))
        folder.mkdir(parents=True)
        (folder / "config.json").write_text(f"{settings['seed']}{task}")

    def measure(self, task: str, model: PixelExtractor) -> dict[str, Estimate]:
        self.measured.append(model.fingerprint)
        value = 0.5 if model.name == "mini:B-SD" else 0.7 + int(model.fingerprint.startswith("pixels-1")) / 10
        return {"mAP@all": bootstrap([value - 0.1, value + 0.1]), "mIoU": bootstrap([value, value, value])}


def fill(number: str, table: TableLayout, *how: Any) -> list[Cell]:
    return TableFiller(*how).fill(number, table)


def test_every_row_is_trained_once_for_every_task_and_seed(tmp_path: Path) -> None:
    shop = Workshop()
    cells = fill("0", TABLE, "mini", tmp_path, shop.load, shop.train, shop.measure)
    assert shop.trained == [
        (task, {"lr": "1", "seed": seed}, "SketchFusion") for task in ("retrieval", "segmentation") for seed in "01"
    ] + [(task, {"seed": "0"}, "SD-PL") for task in ("retrieval", "segmentation")]
    values = {(cell.name, cell.metric): cell.values for cell in cells}
    assert values["B-SD", "mAP@all"] == [0.5] and values["SD v9", "mIoU"] == []
    assert values["Ours", "mAP@all"] == pytest.approx([0.7, 0.8])
    assert len(shop.measured) == 8
    again = Workshop()
    assert fill("0", TABLE, "mini", tmp_path, again.load, again.train, again.measure) == cells
    assert not again.trained and not again.measured


def test_every_row_says_how_much_more_the_fused_one_has_query_by_query(tmp_path: Path) -> None:
    shop, row = Workshop(), TableRow("Ours-full", seeds=2)
    each = {"mini:B-SD": [0.1, 0.5, 0.9], "0retrieval": [0.3, 0.5, 1.0], "1retrieval": [0.5, 0.7, 1.0]}
    shop.measure = lambda task, model: {
        "mAP@all": bootstrap(each[model.fingerprint.removeprefix("pixels-").rstrip("0")])
    }  # type: ignore[method-assign]
    table = TableLayout("Trial", TABLE.columns[:1], (TABLE.rows[3], TABLE.rows[0], row))
    absent, frozen, fused = fill("6", table, "mini", tmp_path, shop.load, shop.train, shop.measure)
    assert absent.lead is None and fused.lead is None
    more = bootstrap([0.3, 0.1, 0.1])
    assert frozen.lead == pytest.approx((more.mean, more.low, more.high))
    text = write("6", table, [absent, frozen, fused], {}, tmp_path, "world").read_text()
    assert "How much more Ours-full has" in text and "| B-SD | +0.167 (+0.100 to +0.300) |" in text


def test_the_fused_row_is_trained_once_for_all_tables(tmp_path: Path) -> None:
    shop, column = Workshop(), (TableColumn("retrieval", "mAP@all"),)
    for number, name in (("1", "Proposed"), ("6", "Ours-full")):
        fill(
            number,
            TableLayout("Trial", column, (TableRow(name),)),
            "mini",
            tmp_path,
            shop.load,
            shop.train,
            shop.measure,
        )
    assert len(shop.trained) == len(shop.measured) == 1


def test_a_universal_row_is_trained_once_for_all_columns(tmp_path: Path) -> None:
    shop, row = Workshop(), TableRow("Universal", task="universal")
    cells = fill(
        "0", TableLayout("Trial", TABLE.columns, (row,)), "mini", tmp_path, shop.load, shop.train, shop.measure
    )
    assert [task for task, *_ in shop.trained] == ["universal"] and len(shop.measured) == 2
    assert all(cell.values for cell in cells)
    assert fill("0", TABLES["universal"], "mini", tmp_path, shop.load, None, lambda *a: ANYTHING)[-1].absent


def test_rows_of_other_checkpoints_are_filled_where_these_are_there(sd1_folder: Path, tmp_path: Path) -> None:
    rows = tuple(row for row in TABLES["6"].rows if row.checkpoint)
    table = TableLayout("Trial", TABLE.columns[:1], rows)
    for pair, otherwise in (("full", "is not in the cache"), ("mini", "only models of full size")):
        shop, there = Workshop(), {"sd15": str(sd1_folder)}
        cells = fill("6", table, pair, tmp_path / pair, shop.load, shop.train, shop.measure, there)
        assert shop.trained == [("retrieval", {"diffusion": str(sd1_folder), "seed": "0"}, "SketchFusion")]
        assert {cell.name: bool(cell.values) for cell in cells} == {row.name: row.name == "SD v1.5" for row in rows}
        assert all(otherwise in cell.absent for cell in cells if not cell.values)


def test_a_pair_in_folders_has_its_baselines(sd_folder: Path, clip_folder: Path, tmp_path: Path) -> None:
    pair = f"{sd_folder}+{clip_folder}"
    assert load(f"{pair}:B-SD").fingerprint == load(str(sd_folder)).fingerprint
    assert frozen_part(pair, "B-CLIP") == str(clip_folder) and frozen_part(pair, "B-DINOv2") == "dinov2-s14"
    (tmp_path / "sd").symlink_to(sd_folder)
    (tmp_path / "clip").symlink_to(clip_folder)
    assert load(f"{tmp_path}:B-SD+CLIP").fingerprint == load(pair).fingerprint


def test_a_row_on_another_encoder_is_trained_on_the_pairs_own_one(tmp_path: Path) -> None:
    shop, table = Workshop(), TableLayout("Trial", TABLE.columns[:1], (TableRow("CLIP -> DINOv2", encoder="B-DINOv2"),))
    fill("0", table, "mini", tmp_path / "mini", shop.load, shop.train, shop.measure)
    fill("0", table, "full", tmp_path / "full", shop.load, shop.train, shop.measure)
    assert [settings["clip"] for _, settings, *_ in shop.trained] == ["mini-dino", "dinov2-s14"]
    cells = fill("0", table, "mini", tmp_path, shop.load, None, shop.measure)
    assert [cell.absent for cell in cells] == ["needs training"]


def test_a_row_measured_with_the_model_of_another_says_so(tmp_path: Path) -> None:
    shop = Workshop()
    rows = (
        TableRow("B-DINO", "B-DINO"),
        TableRow("B-SD", "B-SD"),
        TableRow("B-DINOv2", "B-DINOv2"),
        TableRow("Ours", seeds=2),
    )
    alias = {"mini:B-DINO": "mini-dino", "mini:B-DINOv2": "mini-dino"}  # as mini has it
    table = TableLayout("Trial", TABLE.columns, rows)
    load = lambda name: shop.load(alias.get(name, name))  # noqa: E731
    cells = fill("0", table, "mini", tmp_path, load, shop.train, shop.measure)
    assert {cell.name: cell.same_as for cell in cells} == {"B-DINO": "", "B-SD": "", "B-DINOv2": "B-DINO", "Ours": ""}
    text = write("0", table, cells, {}, tmp_path, "world").read_text()
    assert "| B-DINOv2 (the same model as B-DINO) | 0.7" in text and "| B-DINO | 0.7" in text


def test_a_frozen_model_that_is_not_there_leaves_its_row_empty(tmp_path: Path) -> None:
    shop = Workshop()

    def load(name: str) -> PixelExtractor:
        if name == "mini:B-SD":
            raise WeightsError("it is published as pickled weights only")
        return shop.load(name)

    cells = fill("0", TABLE, "mini", tmp_path, load, shop.train, shop.measure)
    assert {cell.absent for cell in cells if cell.name == "B-SD"} == {"it is published as pickled weights only"}
    assert all(cell.values for cell in cells if cell.name == "Ours")
    text = write("0", TABLE, cells, {}, tmp_path, "world").read_text()
    assert "| B-SD | - | - |" in text and "B-SD is empty: it is published as pickled weights only" in text


def test_a_baseline_may_lie_in_a_folder(tmp_path: Path) -> None:
    shop, loaded = Workshop(), list[str]()
    rows = TableRow("B-DINO", "B-DINO"), TableRow("B-DINOv2", "B-DINOv2")

    def load(name: str) -> PixelExtractor:
        loaded.append(name)
        return shop.load(name)

    table, there = TableLayout("Trial", TABLE.columns[:1], rows), {"dino-s8": "converted"}
    fill("0", table, "full", tmp_path, load, shop.train, shop.measure, there)
    assert loaded == ["converted", "full:B-DINOv2"]


def test_settings_of_one_method_are_not_passed_to_another() -> None:
    settings = {"steps": "9", "whole": "0", "fusion.timestep": "50"}
    assert settings_for("SketchFusion", settings) == settings
    assert settings_for("SD-PL", settings) == settings_for("B-Finetuning", settings) == {"steps": "9"}


def test_without_training_ablations_are_left_out(tmp_path: Path) -> None:
    shop = Workshop()
    cells = fill("0", TABLE, "mini", tmp_path, shop.load, None, shop.measure)
    assert not shop.trained
    assert [cell.absent for cell in cells if cell.name in ("Ours", "Theirs")] == ["needs training"] * 4


def test_a_table_is_written_with_the_papers_figures_beside(tmp_path: Path) -> None:
    shop = Workshop()
    trial = TableLayout("Trial", (TableColumn("retrieval", "mAP@200/min(k,R)"),), TABLE.rows[:2])
    shop.measure = lambda task, model: {"mAP@200/min(k,R)": bootstrap([0.2, 0.3])}  # type: ignore[method-assign]
    cells = fill("1", trial, "mini", tmp_path, shop.load, shop.train, shop.measure)
    text = write("1", trial, cells, {"command": "`sketchfusion table 1`"}, tmp_path, "a b").read_text()
    assert "the paper's figure in italics, of Sketchy." in text  # whatever is measured here
    assert "in italics." in write("timestep", trial, cells, {}, tmp_path, "a b").read_text()
    odd = write("1", trial, cells, {"command": "`table 1 --data caf\udce9`"}, tmp_path, "caf\udce9")  # Latin-1
    assert "on caf\\udce9" in odd.read_text("utf-8") and "--data caf\\udce9`" in odd.read_text("utf-8")
    assert "| B-SD | 0.250 (0.200 to 0.300) *0.558* |" in text
    assert "| Ours | 0.250 ± 0.000 (0.200 to 0.300) |" in text
    record = json.loads((tmp_path / "table-1-a-b.json").read_text())
    assert record["rows"][1]["values"] == [0.25, 0.25] and len(record["rows"][1]["weights"]) == 2


def test_the_papers_figures_have_rows_and_columns_here() -> None:
    assert in_paper("4", "Proposed", "PCK@0.05") == pytest.approx(0.7031)
    assert in_paper("6", "w/o Convolutions", "Acc@1") == pytest.approx(0.7175)
    assert in_paper("2", "B-SD", "Acc@1/across-categories") is None and in_paper("timestep", "t = 195", "x") is None
    for number, table in TABLES.items():
        if number not in ("timestep", "universal"):
            known = {row.name for row in table.rows if any(in_paper(number, row.name, c.metric) for c in table.columns)}
            # The paper measured SD-PL by retrieval alone, which is what it was made for.
            assert {row.name for row in table.rows} - known == ({"SD-PL"} if number in "345" else set())


@pytest.mark.usefixtures("few_categories")
@pytest.mark.parametrize(("task", "metric"), [(c.task, c.metric) for t in "12345" for c in TABLES[t].columns[:1]])
def test_each_task_is_measured_on_sketch_world(task: str, metric: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for count in ("PHOTOS", "SKETCHES", "EXAMPLES"):
        monkeypatch.setattr(f"sketchfusion.lab.datasets.world.{count}", 1)
    world = SketchWorld()
    few_pairs, few_scenes = ([*islice(draw(count=1), 3)] for draw in (world.draw_pairs, world.draw_scenes))
    monkeypatch.setattr(SketchWorld, "point_pairs", lambda *_, measured=True: few_pairs)
    monkeypatch.setattr(SketchWorld, "scenes", lambda *_: few_scenes)
    measured = measure_task(task, PixelExtractor(), world)
    assert 0 <= measured[metric].mean <= 1
    if task == "correspondence":
        assert measured[metric] == measured[f"{metric}/pointwise"]


@pytest.mark.usefixtures("few_categories")
@pytest.mark.parametrize("task", ["retrieval", "instance-retrieval", "segmentation"])
def test_a_figure_shows_every_model(task: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sketchfusion.lab.datasets.world.PHOTOS", 3)
    monkeypatch.setattr("sketchfusion.lab.datasets.world.SKETCHES", 1)
    few = [*SketchWorld().draw_scenes(count=1)]
    monkeypatch.setattr(SketchWorld, "scenes", lambda *_: few)
    monkeypatch.setattr(figures, "fitting_level", lambda model, data, sketches: 0.5)
    models = {name: PixelExtractor() for name in ("One", "Two")}
    sheet, page = figures.draw_figures(task, models, SketchWorld(), (), tmp_path / "table")
    lines = 3 * (1 if task == "segmentation" else len(models))  # of three sketches
    width = 2 + len(models) if task == "segmentation" else 1 + 8
    assert Image.open(sheet).size == (8 + width * 136, 8 + lines * 168)
    assert page.read_text().count('<figure class="map">') == len(models) * 2 * 3
    assert figures.draw_figures("recognition", models, SketchWorld(), (), tmp_path / "table") == []


def test_a_caption_that_is_too_wide_goes_on_in_a_second_line() -> None:
    font = ImageFont.load_default(size=12)
    assert figures._two_lines("Ours-full", 128, font) == "Ours-full\n"
    first, second = figures._two_lines("w/o Aggregation Network", 128, font).split("\n")
    assert (first, second) == ("w/o Aggregation", "Network")
    assert figures._two_lines("CLIP → DINOv2", 128, font) == "CLIP -> DINOv2\n"


def test_the_right_photos_are_framed_in_green(tmp_path: Path) -> None:
    export(tmp_path / "root", 0, ["pear", "tree"], "all", 4, 64)
    root = datasets.open(tmp_path / "root")
    sheet, _ = figures.draw_figures("retrieval", {"One": PixelExtractor()}, root, (), tmp_path / "table")
    pixels = np.asarray(Image.open(sheet))
    corners = [pixels[9, 9 + 136 * column].tolist() for column in range(1, 9)]
    assert corners.count([0x1A, 0x7F, 0x37]) == 4  # of each category there are four photos


@pytest.mark.usefixtures("few_categories")
def test_the_command_makes_a_table_with_its_pictures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sketchfusion.models.load", lambda name: PixelExtractor(name, name))
    measured = {c.metric: bootstrap([0.4, 0.6]) for c in TABLES["4"].columns}
    monkeypatch.setattr("sketchfusion.lab.evaluation.table.measure_task", lambda *a: measured)
    assert terminal.run(app, ["table", "4", "--out", str(tmp_path), "--as-it-is"]) == 0
    assert "| Proposed | 0.500 (0.400 to 0.600) *0.703* |" in capsys.readouterr().out
    assert (tmp_path / "table-4-world.json").is_file()
    sheet = Image.open(tmp_path / "table-4-world-correspondence.png")
    assert sheet.width > 6 * 256 and sheet.height > 3 * 128  # a column a model, a line a pair
    seen = (tmp_path / "table-4-world-correspondence.html").read_text()
    assert all(name in seen for name in ("B-CLIP", "B-SD+CLIP", "Proposed"))
    assert seen.count("<polyline") == 2 * seen.count("<span><i")  # spectra of photos and of sketches for each
    assert terminal.run(app, ["table", "4", "--out", str(tmp_path), "--as-it-is", "--set", "lr=1"]) == 2
    assert "--as-it-is trains nothing" in capsys.readouterr().err
    assert terminal.run(app, ["table", "9", "--out", str(tmp_path)]) == 2
    assert "no table '9'; choose one of 1, 2" in capsys.readouterr().err


def test_a_part_of_a_table_is_what_the_whole_goes_on_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = []

    def measure(task: str, *_: object) -> dict[str, Estimate]:
        asked.append(task)
        return ANYTHING

    monkeypatch.setattr("sketchfusion.models.load", lambda name: PixelExtractor(name, name))
    monkeypatch.setattr("sketchfusion.lab.evaluation.table.measure_task", measure)
    monkeypatch.setattr("sketchfusion.lab.evaluation.figures.draw_figures", lambda *a: [])
    monkeypatch.setattr("sketchfusion.tasks.segmentation.can_refine", lambda: False)
    whole = ["table", "universal", "--out", str(tmp_path), "--as-it-is"]
    assert terminal.run(app, [*whole, "--task", "segmentation"]) == 0 and asked == ["segmentation"]
    part = json.loads((tmp_path / "table-universal-segmentation-world.json").read_text())
    assert [(cell["name"], cell["metric"]) for cell in part["rows"]] == [("Proposed", "mIoU"), ("Universal", "mIoU")]
    assert part["masks"].startswith("without CRF")
    assert terminal.run(app, whole) == 0
    assert sorted(asked) == sorted({column.task for column in TABLES["universal"].columns})
    capsys.readouterr()
    assert terminal.run(app, [*whole, "--task", "naming"]) == 2
    assert "is not about naming; choose from retrieval, instance-retrieval" in capsys.readouterr().err


given: list[Mapping[str, str]] = []  # the settings of the trainings of a table


@pytest.fixture
def table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Make a table into one --out with fakes; give what is complained of."""
    shop = Workshop()
    given.clear()

    def train(
        task: str,
        _: object,
        folder: Path,
        model: str,
        resume: bool,
        settings: Mapping[str, str],
        *__: object,
        **how: object,
    ) -> None:
        given.append(settings)
        if "stepz" in settings:
            raise ValueError("'stepz' is not a setting")
        shop.train(task, folder, settings, "")

    monkeypatch.setattr("sketchfusion.models.load", shop.load)
    monkeypatch.setattr("sketchfusion.lab.training.train.train_task", train)
    monkeypatch.setattr("sketchfusion.lab.evaluation.table.measure_task", lambda *a: ANYTHING)
    monkeypatch.setattr("sketchfusion.lab.evaluation.table.measured_on", lambda *a: "")
    monkeypatch.setattr("sketchfusion.lab.evaluation.figures.draw_figures", lambda *a: [])

    def made(number: str, *options: object) -> str:
        code = terminal.run(app, ["table", number, "--out", str(tmp_path / "tb"), *map(str, options)])
        said = capsys.readouterr().err.splitlines()[-1:] if code else []
        return "".join(said)

    return made


def test_values_made_with_other_settings_are_not_reused(table: Callable[..., str], tmp_path: Path) -> None:
    assert table("2", "--set", "stepz=1").endswith("'stepz' is not a setting")  # of which nothing is kept
    assert table("2", "--set", "steps=1") == table("2", "--set", "steps=1") == table("2", "--as-it-is") == ""
    kept = tmp_path / "tb" / "world-mini"
    assert table("2", "--set", "steps=4") == (
        f"sketchfusion: {kept} was made with steps=1 validation_batches=0, not steps=4 validation_batches=0; "
        "choose another --out"
    )
    assert "made with steps=1 validation_batches=0, not validation_batches=0;" in table("2")
    other = drawings_at(tmp_path / "qd")
    assert f"made with the data's own sketches, not {other}" in table("2", "--sketches", other)
    for note in kept.rglob("made-with.json"):
        note.unlink()
    assert table("2", "--set", "steps=1") == ""  # a folder from before there were notes
    assert "not steps=4" in table("2", "--set", "steps=4")


def test_weights_of_a_table_are_not_chosen_on_what_it_measures(table: Callable[..., str], tmp_path: Path) -> None:
    assert table("3", "--set", "steps=1") == ""
    assert {settings["validation_batches"] for settings in given} == {"0"}
    shutil.rmtree(tmp_path / "tb")
    given.clear()
    assert table("3", "--set", "validation_batches=4") == ""
    assert {settings["validation_batches"] for settings in given} == {"4"}


@pytest.mark.parametrize(
    ("number", "setting"),
    [("1", "seed=7"), ("6", "fusion.bottlenecks=false"), ("timestep", "fusion.timestep=100"), ("1", "clip=mini-dino")],
)
def test_settings_that_would_not_hold_for_all_rows_are_refused(
    table: Callable[..., str], number: str, setting: str
) -> None:
    said = table(number, "--set", setting)
    assert said.startswith(f"sketchfusion: '{setting.partition('=')[0]}' ") and not given
    assert "leave it out" in said or "name both models by --model" in said


def test_values_made_of_other_data_are_not_reused(table: Callable[..., str], tmp_path: Path) -> None:
    for whose in "ab":
        picture(tmp_path / whose / "tiny" / "1.png")
    assert table("2", "--data", tmp_path / "a" / "tiny", "--as-it-is") == ""
    there = tmp_path.resolve()
    left = "where training leaves it out"
    assert f"made with {there / 'a' / 'tiny'}, {left}, not {there / 'b' / 'tiny'}, {left}; choose another" in table(
        "2", "--data", tmp_path / "b" / "tiny", "--as-it-is"
    )


def test_values_made_of_changed_files_are_not_reused(table: Callable[..., str], tmp_path: Path) -> None:
    linked, root = tmp_path / "elsewhere", tmp_path / "tb"  # which holds what tables keep as well
    linked.mkdir()
    picture(root / "photo.png")
    (root / "sketch").symlink_to(linked)
    (linked / "a.png").write_bytes(b"a")
    assert table("2", "--data", root, "--as-it-is") == table("2", "--data", root, "--as-it-is") == ""
    (linked / "a.png").write_bytes(b"ab")
    assert re.search(
        r"made with 2 files \(\w{12} of .*\), not 2 files \(\w{12} of", table("2", "--data", root, "--as-it-is")
    )


def test_psc6k_apart_from_sketchy_is_refused_where_something_is_trained(
    table: Callable[..., str], tmp_path: Path
) -> None:
    asked = "4", "--data", psc6k_at(tmp_path / "psc"), "--sketches", sketchy_at(tmp_path / "sketchy")
    assert "put these files into the root of Sketchy" in table(*asked)
    assert table(*asked, "--as-it-is") == ""


def test_masks_with_and_without_the_crf_are_told_apart(
    table: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for refined in (True, False):
        monkeypatch.setattr("sketchfusion.tasks.segmentation.can_refine", lambda refined=refined: refined)
        assert table("2", "--as-it-is") == ""
        assert ("with masks refined by a CRF, not masks without CRF" in table("5", "--as-it-is")) is not refined


def test_a_folder_that_cannot_be_written_is_known_before_anything_is_measured(
    table: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "tb").touch()
    monkeypatch.setattr("sketchfusion.models.load", lambda name: pytest.fail("too late"))
    assert f"{tmp_path / 'tb'}: File exists" in table("2", "--as-it-is")
