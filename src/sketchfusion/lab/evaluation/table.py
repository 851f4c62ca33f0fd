"""The tables of the paper: rows, columns, the figures of the paper, and how a cell is measured."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib import resources
from typing import Any, Self

from ...extractor import Extractor
from ...fusion import FusionConfig
from ..datasets.base import Dataset, Datasets, Part
from .calibrate import choose_correspondence, choose_level
from .correspondence import METRICS, POINTWISE, benchmark_correspondence, point_pairs
from .metrics import Estimate
from .recognition import benchmark_examples, labelled_pictures
from .retrieval import AMONG, Progress, benchmark_instances, benchmark_retrieval, instance_data, retrieval_data
from .segmentation import benchmark_segmentation

FUSED = "Proposed"
SEEDS = 3  # of the fused row and of B-SD+CLIP's; one of the others
FUSED_METHOD = "SketchFusion"
PROPOSED_AT = FusionConfig().timestep  # whose row is the fused one
TIMESTEPS = (1, 100, 195, 300, 500, 800)


@dataclass(frozen=True)
class TableColumn:
    task: str
    metric: str  # its full name


@dataclass(frozen=True)
class TableRow:
    """A row: a model under the name that the paper gives it, either a frozen baseline or trained by a method."""

    name: str
    baseline: str = ""  # of the pair of frozen models, as `load` takes it; empty for a trained model
    method: str = FUSED_METHOD  # of training, as `train --method` takes it
    settings: Mapping[str, str] = field(default_factory=dict)  # of training
    encoder: str = ""  # the baseline whose model replaces CLIP in training
    checkpoint: tuple[str, str] | None = None  # the part that another model of the catalog replaces, and its name
    task: str = ""  # what it is trained for, once, whatever is measured; empty for each column's own task
    seeds: int = 1  # of training, or of the noise that a frozen Stable Diffusion sees

    @property
    def stored_as(self) -> str:
        """The name under which weights and figures are stored: one for the fused model, whatever a table calls it."""
        return self.name if self.baseline or self.is_variant else FUSED

    @property
    def fused(self) -> bool:
        """Whether it is the fused model itself, which the others are compared with."""
        return self.stored_as == FUSED

    @property
    def is_variant(self) -> bool:
        """Whether a trained model is another one than the fused model with a set of light weights for each task."""
        return bool(self.settings or self.encoder or self.checkpoint or self.task or self.method != FUSED_METHOD)


@dataclass(frozen=True)
class TableLayout:
    title: str
    columns: tuple[TableColumn, ...]
    rows: tuple[TableRow, ...]

    @property
    def tasks(self) -> list[str]:
        return list(dict.fromkeys(column.task for column in self.columns))

    def of(self, tasks: Sequence[str]) -> Self:
        """Keep the columns of some tasks; ValueError for a task that the table is not about."""
        columns = tuple(column for column in self.columns if column.task in tasks)
        if strange := [task for task in tasks if task not in self.tasks]:
            raise ValueError(f"{self.title!r} is not about {strange[0]}; choose from {', '.join(self.tasks)}")
        return replace(self, columns=columns)


DINOS = {"B-DINO": "dino-s8", "B-DINOv2": "dinov2-s14"}  # the models of these baselines at full size
# Settings of a table: folders of other models, those of table 6 first.
CHECKPOINTS = ("sd14", "sd15", "clip-b16", "clip-b32", *DINOS.values())

_ROWS = (
    *(TableRow(name, name) for name in ("B-CLIP", "B-DINO", "B-DINOv2", "B-SD")),
    TableRow("B-SD+CLIP", "B-SD+CLIP", seeds=SEEDS),
    *(TableRow(name, method=name) for name in ("B-Finetuning", "SD-PL")),
    TableRow(FUSED, seeds=SEEDS),
)


def _columns(task: str, *metrics: str) -> tuple[TableColumn, ...]:
    return tuple(TableColumn(task, metric) for metric in metrics)


_RETRIEVAL = _columns("retrieval", "mAP@200/min(k,R)")
_NAMES = _columns("recognition", "Acc@1")
_PCK = _columns("correspondence", "PCK@0.05")
_MASKS = _columns("segmentation", "mIoU")

TABLES: dict[str, TableLayout] = {
    "1": TableLayout(
        "Category-level zero-shot retrieval", _RETRIEVAL + _columns("retrieval", "P@200", "mAP@all", "P@100"), _ROWS
    ),
    "2": TableLayout(
        "Cross-category fine-grained retrieval",
        _columns("instance-retrieval", *(f"Acc@{k}/{among}" for among in AMONG for k in (1, 5))),
        _ROWS,
    ),
    "3": TableLayout(
        "Recognition", _NAMES + _columns("recognition", "Acc@5", "Acc@1/1-shot", "Acc@1/5-shot", "Acc@1/10-shot"), _ROWS
    ),
    "4": TableLayout("Sketch-photo correspondence", _PCK + _columns("correspondence", "PCK@0.10"), _ROWS),
    "5": TableLayout("Sketch-based segmentation", _MASKS + _columns("segmentation", "pixel accuracy"), _ROWS),
    "6": TableLayout(
        "Ablation on design",
        # where a linear head names nearly everything, one example tells more
        _PCK + _MASKS + _RETRIEVAL + _NAMES + _columns("recognition", "Acc@1/1-shot"),
        (
            TableRow("SD v1.4", checkpoint=("diffusion", "sd14")),
            TableRow("SD v1.5", checkpoint=("diffusion", "sd15")),
            TableRow("CLIP ViT-B/16", checkpoint=("clip", "clip-b16")),
            TableRow("CLIP ViT-B/32", checkpoint=("clip", "clip-b32")),
            TableRow("CLIP -> DINOv2", encoder="B-DINOv2"),
            TableRow("w/o Aggregation Network", settings={"fusion.bottlenecks": "false"}),
            TableRow("w/o Learnable Weights", settings={"fusion.branch_weights": "false"}),
            TableRow("w/o Convolutions", settings={"fusion.convolutions": "false"}),
            TableRow("Ours-full", seeds=SEEDS),
        ),
    ),
    "timestep": TableLayout(
        "The timestep at which features are taken",
        _PCK + _RETRIEVAL,
        tuple(
            TableRow(f"t = {t}", settings={} if t == PROPOSED_AT else {"fusion.timestep": str(t)}) for t in TIMESTEPS
        ),
    ),
    "universal": TableLayout(
        "One set of light weights for all five tasks beside one for each",
        _RETRIEVAL + _columns("instance-retrieval", "Acc@1/within-category") + _NAMES + _PCK + _MASKS,
        (TableRow(FUSED, seeds=SEEDS), TableRow("Universal", task="universal")),
    ),
}


def in_paper(number: str, row: str, metric: str) -> float | None:
    """The paper's figure as a share of 1; None where it has none."""
    table = _in_paper(number)
    figures = dict(zip(table["columns"], table["rows"].get(row, ()), strict=False))
    percent = figures.get(metric)
    return None if percent is None else percent / 100


def papers_data(number: str) -> str:
    """Say which data the paper's figures of a table are of; "" where it has none."""
    return str(_in_paper(number)["data"])


def _in_paper(number: str) -> dict[str, Any]:
    text = resources.files(__package__).joinpath("data", "paper.json").read_text(encoding="utf-8")
    table: dict[str, Any] = json.loads(text)["tables"].get(number, {"data": "", "columns": [], "rows": {}})
    return table


MOST_TUNING_PAIRS = 200


def measure_task(
    task: str, model: Extractor, dataset: Dataset, sketches: Datasets = (), progress: Progress | None = None
) -> dict[str, Estimate]:
    """Measure every metric of a task on a data set; ValueError if it cannot serve the task.

    Recognition is by the linear head that every model gets, correspondence matches point by point, as in the paper. The
    softmax of correspondence and the threshold of segmentation are each model's best on data that are not measured on.
    """
    if task == "retrieval":
        return benchmark_retrieval(model, retrieval_data(dataset, None, sketches, untrained=True), progress).metrics
    if task == "instance-retrieval":
        return benchmark_instances(model, instance_data(dataset, untrained=True), progress).metrics
    if task == "recognition":
        pictures, examples = (labelled_pictures(dataset.named("sketch", learned)) for learned in (False, True))
        found = benchmark_examples(model, examples, pictures, progress).metrics
        return {**found, **{f"Acc@{k}": found[f"Acc@{k}/linear head"] for k in (1, 5)}}
    if task == "correspondence":
        tuning = [*point_pairs(dataset, *sketches[:1], measured=False)]
        chosen = choose_correspondence(model, tuning[:: 1 + len(tuning) // MOST_TUNING_PAIRS])
        pairs = [*point_pairs(dataset, *sketches[:1])]
        found = benchmark_correspondence(model, pairs, progress, chosen["TEMPERATURE"], chosen["WINDOW"]).metrics
        return {**found, **{name: found[f"{name}/{POINTWISE}"] for name in METRICS}}
    level = fitting_level(model, dataset, sketches)
    return benchmark_segmentation(model, [*dataset.scenes(sketches, "measured")], progress, level=level).metrics


def fitting_level(model: Extractor, dataset: Dataset, sketches: Datasets = ()) -> float:
    """Choose the threshold of the heat map whose masks fit best on the scenes for tuning."""
    return choose_level(model, dataset.scenes(sketches, "tuning"))


def measured_on(task: str, dataset: Dataset, sketches: Datasets = ()) -> str:
    """Say on which categories a task is measured, "" without a choice; ValueError if the data cannot serve the task."""
    if task == "retrieval":
        return retrieval_data(dataset, None, sketches, untrained=True).about
    if task == "instance-retrieval":
        return instance_data(dataset, untrained=True).about
    if task == "recognition":
        for examples in (False, True):
            dataset.named("sketch", examples)
    elif task == "correspondence":
        for measured in (False, True):
            next(point_pairs(dataset, *sketches[:1], measured=measured), None)
    else:
        parts: tuple[Part, Part] = ("tuning", "measured")
        if any(next(dataset.scenes(sketches, part), None) is None for part in parts):
            raise dataset.error("too few photos with masks; one in five is measured on, the others are for tuning")
    return ""
