"""Which rows and columns a table has, and what a row is made of."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from ...fusion import FusionConfig
from ...saved import UNIVERSAL
from .calibrate import choose_correspondence, choose_level
from .correspondence import ALONE, METRICS, benchmark_correspondence
from .data import Part, instance_data, keypoint_pairs, naming_data, retrieval_data, scenes
from .recognition import benchmark_examples
from .retrieval import benchmark_instances, benchmark_retrieval
from .segmentation import benchmark_segmentation

if TYPE_CHECKING:
    from ...extractor import Extractor
    from .metrics import Estimate
    from .result import Reported


FUSED = "Proposed"
SEEDS = 3  # of the fused row and of B-SD+CLIP's; one of the others
FUSED_METHOD = "SketchFusion"
PROPOSED_AT = FusionConfig().timestep  # whose row is the fused one
TIMESTEPS = (1, 100, 195, 300, 500, 800)


@dataclass(frozen=True)
class TableColumn:
    """One figure of a row: a task, and the full name of a metric."""

    task: str
    metric: str


@dataclass(frozen=True)
class TableRow:
    """A model under the name that the paper gives it: a frozen baseline, or what a method trains."""

    name: str
    baseline: str = ""  # of the pair, as `load` takes it; empty for what is trained
    method: str = FUSED_METHOD  # of that training, as `train --method` takes it
    settings: Mapping[str, str] = field(default_factory=dict)  # of that training
    encoder: str = ""  # the baseline of the pair whose model takes CLIP's place in that training
    task: str = ""  # what it is trained for once, whatever is measured; empty for each column's own task
    seeds: int = 1  # of training, or of the noise that a frozen Stable Diffusion sees
    absent: str = ""  # why it cannot be had with this pair; it is listed with the paper's figure alone

    @property
    def kept_as(self) -> str:
        """Under which name its weights and figures are kept: the fused model is one, whatever a table calls it."""
        return self.name if self.baseline or self.differs else FUSED

    @property
    def fused(self) -> bool:
        """Whether it is the fused model itself, which the others are compared with."""
        return self.kept_as == FUSED and not self.absent

    @property
    def differs(self) -> bool:
        """Whether what is trained is another model than the fused one, a set of light weights for each task."""
        return bool(self.settings or self.encoder or self.task or self.method != FUSED_METHOD)


@dataclass(frozen=True)
class TableLayout:
    """One table of the paper."""

    title: str
    columns: tuple[TableColumn, ...]
    rows: tuple[TableRow, ...]

    @property
    def tasks(self) -> list[str]:
        """The tasks of its columns, each once."""
        return list(dict.fromkeys(column.task for column in self.columns))

    def of(self, tasks: Sequence[str]) -> TableLayout:
        """Give the part of it about some of its tasks; ValueError for a task that it is not about."""
        columns = tuple(column for column in self.columns if column.task in tasks)
        if strange := [task for task in tasks if task not in self.tasks]:
            raise ValueError(f"{self.title!r} is not about {strange[0]}; choose from {', '.join(self.tasks)}")
        return replace(self, columns=columns)


FULL_ONLY = "only the full models have other checkpoints"

_FROZEN = (
    TableRow("B-CLIP", "B-CLIP"),
    TableRow("B-DINO", "B-DINO"),
    TableRow("B-DINOv2", "B-DINOv2"),
    TableRow("B-SD", "B-SD"),
    TableRow("B-SD+CLIP", "B-SD+CLIP", seeds=SEEDS),
)
_TRAINED = (TableRow("B-Finetuning", method="B-Finetuning"), TableRow("SD-PL", method="SD-PL"))
_ROWS = (*_FROZEN, *_TRAINED, TableRow(FUSED, seeds=SEEDS))
_RETRIEVAL = TableColumn("retrieval", "mAP@200/min(k,R)")
_INSTANCES = TableColumn("instance-retrieval", "Acc@1/within-category")
_NAMES = TableColumn("recognition", "Acc@1")
_FEW = TableColumn("recognition", "Acc@1/1-shot")  # where a linear head names nearly everything, one example tells more
_PCK = TableColumn("correspondence", "PCK@0.05")
_MASKS = TableColumn("segmentation", "mIoU")

TABLES: dict[str, TableLayout] = {
    "1": TableLayout(
        "Category-level zero-shot retrieval",
        (
            _RETRIEVAL,
            TableColumn("retrieval", "P@200"),
            TableColumn("retrieval", "mAP@all"),
            TableColumn("retrieval", "P@100"),
        ),
        _ROWS,
    ),
    "2": TableLayout(
        "Cross-category fine-grained retrieval",
        tuple(
            TableColumn("instance-retrieval", f"Acc@{k}/{among}")
            for among in ("within-category", "across-categories")
            for k in (1, 5)
        ),
        _ROWS,
    ),
    "3": TableLayout(
        "Recognition",
        (
            _NAMES,
            *(
                TableColumn("recognition", metric)
                for metric in ("Acc@5", "Acc@1/1-shot", "Acc@1/5-shot", "Acc@1/10-shot")
            ),
        ),
        _ROWS,
    ),
    "4": TableLayout("Sketch-photo correspondence", (_PCK, TableColumn("correspondence", "PCK@0.10")), _ROWS),
    "5": TableLayout("Sketch-based segmentation", (_MASKS, TableColumn("segmentation", "pixel accuracy")), _ROWS),
    "6": TableLayout(
        "Ablation on design",
        (_PCK, _MASKS, _RETRIEVAL, _NAMES, _FEW),
        (
            TableRow("SD v1.4", absent=FULL_ONLY),
            TableRow("SD v1.5", absent=FULL_ONLY),
            TableRow("CLIP ViT-B/16", absent=FULL_ONLY),
            TableRow("CLIP ViT-B/32", absent=FULL_ONLY),
            TableRow("CLIP -> DINOv2", encoder="B-DINOv2"),
            TableRow("w/o Aggregation Network", settings={"fusion.bottlenecks": "false"}),
            TableRow("w/o Learnable Weights", settings={"fusion.branch_weights": "false"}),
            TableRow("w/o Convolutions", settings={"fusion.convolutions": "false"}),
            TableRow("Ours-full", seeds=SEEDS),
        ),
    ),
    "timestep": TableLayout(
        "The timestep at which features are taken",
        (_PCK, _RETRIEVAL),
        tuple(
            TableRow(f"t = {t}", settings={} if t == PROPOSED_AT else {"fusion.timestep": str(t)}) for t in TIMESTEPS
        ),
    ),
    "universal": TableLayout(
        "One set of light weights for all five tasks beside one for each",
        (_RETRIEVAL, _INSTANCES, _NAMES, _PCK, _MASKS),
        (TableRow(FUSED, seeds=SEEDS), TableRow("Universal", task=UNIVERSAL)),
    ),
}


# What the paper's tables have (SketchFusion, CVPR 2025, tables 1 to 6), by table, row and metric.
#
# Table 1 is Sketchy's part: the two columns are mAP@200 and P@200, under a definition of mAP@200 that it does not
# give.
# Of CLIP -> DINOv2, table 6 has no row: the text says that mAP@200 drops by 32.80 %, as ever a share of the lower
# figure.
# Table 2 does not say whether photos of one category are ranked or all of them. Table 3 is Quick, Draw!.


_PAPER_RETRIEVAL = "mAP@200/min(k,R)"
_ABLATION = ("PCK@0.05", "mIoU", _PAPER_RETRIEVAL, "Acc@1")
_COLUMNS: dict[str, tuple[str, ...]] = {
    "1": (_PAPER_RETRIEVAL, "P@200"),
    "2": ("Acc@1/within-category", "Acc@5/within-category"),
    "3": ("Acc@1",),
    "4": ("PCK@0.05", "PCK@0.10"),
    "5": ("mIoU", "pixel accuracy"),
    "6": _ABLATION,
}
_PERCENT: dict[str, dict[str, tuple[float | None, ...]]] = {
    "1": {
        "B-CLIP": (25.0, 26.1),
        "B-DINO": (49.3, 48.1),
        "B-DINOv2": (52.7, 53.3),
        "B-SD": (55.8, 57.1),
        "B-SD+CLIP": (58.8, 59.2),
        "B-Finetuning": (12.0, 17.2),
        "SD-PL": (74.6, 74.7),
        "Proposed": (76.1, 76.3),
    },
    "2": {
        "B-CLIP": (11.84, 21.66),
        "B-DINO": (22.49, 46.97),
        "B-DINOv2": (21.19, 44.31),
        "B-SD": (23.98, 49.42),
        "B-SD+CLIP": (24.16, 52.01),
        "B-Finetuning": (5.67, 9.17),
        "SD-PL": (31.94, 65.81),
        "Proposed": (33.01, 67.92),
    },
    "3": {
        "B-CLIP": (30.87,),
        "B-DINO": (53.28,),
        "B-DINOv2": (59.12,),
        "B-SD": (63.57,),
        "B-SD+CLIP": (67.78,),
        "B-Finetuning": (12.37,),
        "Proposed": (87.02,),
    },
    "4": {
        "B-CLIP": (22.29, 30.41),
        "B-DINO": (34.21, 48.59),
        "B-DINOv2": (39.91, 56.46),
        "B-SD": (41.42, 58.71),
        "B-SD+CLIP": (44.90, 62.02),
        "B-Finetuning": (11.58, 17.69),
        "Proposed": (70.31, 89.86),
    },
    "5": {
        "B-CLIP": (20.63, 26.82),
        "B-DINO": (32.81, 42.06),
        "B-DINOv2": (34.17, 45.80),
        "B-SD": (39.02, 49.03),
        "B-SD+CLIP": (41.87, 51.91),
        "B-Finetuning": (20.36, 21.84),
        "Proposed": (60.12, 74.91),
    },
    "6": {
        "SD v1.4": (68.91, 57.63, 72.8, 78.82),
        "SD v1.5": (69.24, 58.91, 73.5, 79.59),
        "CLIP ViT-B/16": (67.75, 56.38, 74.3, 77.37),
        "CLIP ViT-B/32": (69.41, 58.47, 75.8, 78.84),
        "CLIP -> DINOv2": (None, None, 57.3, None),
        "w/o Aggregation Network": (54.65, 47.52, 58.7, 66.71),
        "w/o Learnable Weights": (68.75, 58.13, 72.6, 83.79),
        "w/o Convolutions": (55.97, 47.24, 60.2, 71.75),
        "Ours-full": (70.31, 60.12, 76.1, 87.02),
    },
}


def in_paper(table: str, row: str, metric: str) -> float | None:
    """The paper's figure as a share of 1; None where it has none."""
    figures = dict(zip(_COLUMNS.get(table, ()), _PERCENT.get(table, {}).get(row, ()), strict=False))
    percent = figures.get(metric)
    return None if percent is None else percent / 100


# One task measured on one benchmark, for a cell of a table.


MOST_CHOSEN_FROM = 200  # pairs
PARTS: tuple[Part, ...] = ("chosen from", "measured")

Progress = Callable[[int, int], None]


def measure_task(
    task: str, model: Extractor, data: str, sketches: Sequence[str] = (), progress: Progress | None = None
) -> dict[str, Estimate]:
    """Every metric of a task on "world" or a root; ValueError if the root cannot serve the task.

    Recognition is by the linear head that every model gets, and correspondence point by point, as the paper has it; the
    softmax of correspondence and the threshold of segmentation are each model's best on data that are not measured on.
    """
    if task == "recognition":
        asked, seen = naming_data(data, "sketch"), naming_data(data, "sketch", examples=True)
        named = benchmark_examples(model, seen.pictures, asked.pictures, progress).metrics
        return {**named, **{f"Acc@{k}": named[f"Acc@{k}/linear head"] for k in (1, 5)}}
    if task == "correspondence":
        matched = _correspondence(model, data, sketches, progress).metrics
        return {**matched, **{name: matched[f"{name}/{ALONE}"] for name in METRICS}}
    measures: dict[str, Callable[[], Reported]] = {
        "retrieval": lambda: _retrieval(model, data, sketches, progress),
        "instance-retrieval": lambda: _instances(model, data, progress),
        "segmentation": lambda: _segmentation(model, data, sketches, progress),
    }
    return measures[task]().metrics


def measured_on(task: str, data: str, sketches: Sequence[str] = ()) -> str:
    """Open all that `measure_task` does and say which categories it measures on, where there is a choice.

    ValueError if the data cannot serve the task.
    """
    if task == "recognition":
        for examples in (False, True):
            naming_data(data, "sketch", examples=examples)
    elif task == "correspondence":
        for measured in (False, True):
            next(keypoint_pairs(data, *sketches[:1], measured=measured), None)
    elif task == "segmentation":
        for part in PARTS:
            if next(scenes(data, sketches, part), None) is None:
                raise ValueError(
                    f"{data}: too few photos with masks; one in five is measured on, the others chosen from"
                )
    elif task == "retrieval":
        return retrieval_data(data, None, sketches, untrained=True).about
    else:
        return instance_data(data, untrained=True).about
    return ""


def _retrieval(model: Extractor, data: str, sketches: Sequence[str], progress: Progress | None) -> Reported:
    source = retrieval_data(data, None, sketches, untrained=True)
    return benchmark_retrieval(model, [*source.sketches()], [*source.photos()], progress=progress)


def _instances(model: Extractor, data: str, progress: Progress | None) -> Reported:
    source = instance_data(data, untrained=True)
    return benchmark_instances(model, [*source.sketches()], [*source.photos()], progress)


def _correspondence(model: Extractor, data: str, sketches: Sequence[str], progress: Progress | None) -> Reported:
    others = [*keypoint_pairs(data, *sketches[:1], measured=False)]
    chosen = choose_correspondence(model, others[:: 1 + len(others) // MOST_CHOSEN_FROM])
    pairs = [*keypoint_pairs(data, *sketches[:1])]
    return benchmark_correspondence(model, pairs, progress, chosen["TEMPERATURE"], chosen["WINDOW"])


def _segmentation(model: Extractor, data: str, sketches: Sequence[str], progress: Progress | None) -> Reported:
    level = fitting_level(model, data, sketches)
    return benchmark_segmentation(model, [*scenes(data, sketches, "measured")], progress, level=level)


def fitting_level(model: Extractor, data: str, sketches: Sequence[str] = ()) -> float:
    """The heat above which a model's masks fit best on the scenes that it is not measured on."""
    return choose_level(model, scenes(data, sketches, "chosen from"))
