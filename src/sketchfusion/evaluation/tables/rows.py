"""Which rows and columns a table has, and what a row is made of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from ...fusion import FusionConfig
from ...saved import UNIVERSAL

FUSED = "Proposed"
SEEDS = 3  # of the fused row and of B-SD+CLIP's; one of the others
FUSED_METHOD = "SketchFusion"
PROPOSED_AT = FusionConfig().timestep  # whose row is the fused one
TIMESTEPS = (1, 100, 195, 300, 500, 800)


@dataclass(frozen=True)
class Column:
    """One figure of a row: a task, and the full name of a metric."""

    task: str
    metric: str


@dataclass(frozen=True)
class Row:
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
class Table:
    """One table of the paper."""

    title: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]

    @property
    def tasks(self) -> list[str]:
        """The tasks of its columns, each once."""
        return list(dict.fromkeys(column.task for column in self.columns))

    def of(self, tasks: Sequence[str]) -> Table:
        """Give the part of it about some of its tasks; ValueError for a task that it is not about."""
        columns = tuple(column for column in self.columns if column.task in tasks)
        if strange := [task for task in tasks if task not in self.tasks]:
            raise ValueError(f"{self.title!r} is not about {strange[0]}; choose from {', '.join(self.tasks)}")
        return replace(self, columns=columns)


FULL_ONLY = "only the full models have other checkpoints"

_FROZEN = (
    Row("B-CLIP", "B-CLIP"),
    Row("B-DINO", "B-DINO"),
    Row("B-DINOv2", "B-DINOv2"),
    Row("B-SD", "B-SD"),
    Row("B-SD+CLIP", "B-SD+CLIP", seeds=SEEDS),
)
_TRAINED = (Row("B-Finetuning", method="B-Finetuning"), Row("SD-PL", method="SD-PL"))
_ROWS = (*_FROZEN, *_TRAINED, Row(FUSED, seeds=SEEDS))
_RETRIEVAL = Column("retrieval", "mAP@200/min(k,R)")
_INSTANCES = Column("instance-retrieval", "Acc@1/within-category")
_NAMES = Column("recognition", "Acc@1")
_FEW = Column("recognition", "Acc@1/1-shot")  # where a linear head names nearly everything, one example tells more
_PCK = Column("correspondence", "PCK@0.05")
_MASKS = Column("segmentation", "mIoU")

TABLES: dict[str, Table] = {
    "1": Table(
        "Category-level zero-shot retrieval",
        (_RETRIEVAL, Column("retrieval", "P@200"), Column("retrieval", "mAP@all"), Column("retrieval", "P@100")),
        _ROWS,
    ),
    "2": Table(
        "Cross-category fine-grained retrieval",
        tuple(
            Column("instance-retrieval", f"Acc@{k}/{among}")
            for among in ("within-category", "across-categories")
            for k in (1, 5)
        ),
        _ROWS,
    ),
    "3": Table(
        "Recognition",
        (
            _NAMES,
            *(Column("recognition", metric) for metric in ("Acc@5", "Acc@1/1-shot", "Acc@1/5-shot", "Acc@1/10-shot")),
        ),
        _ROWS,
    ),
    "4": Table("Sketch-photo correspondence", (_PCK, Column("correspondence", "PCK@0.10")), _ROWS),
    "5": Table("Sketch-based segmentation", (_MASKS, Column("segmentation", "pixel accuracy")), _ROWS),
    "6": Table(
        "Ablation on design",
        (_PCK, _MASKS, _RETRIEVAL, _NAMES, _FEW),
        (
            Row("SD v1.4", absent=FULL_ONLY),
            Row("SD v1.5", absent=FULL_ONLY),
            Row("CLIP ViT-B/16", absent=FULL_ONLY),
            Row("CLIP ViT-B/32", absent=FULL_ONLY),
            Row("CLIP -> DINOv2", encoder="B-DINOv2"),
            Row("w/o Aggregation Network", settings={"fusion.bottlenecks": "false"}),
            Row("w/o Learnable Weights", settings={"fusion.branch_weights": "false"}),
            Row("w/o Convolutions", settings={"fusion.convolutions": "false"}),
            Row("Ours-full", seeds=SEEDS),
        ),
    ),
    "timestep": Table(
        "The timestep at which features are taken",
        (_PCK, _RETRIEVAL),
        tuple(Row(f"t = {t}", settings={} if t == PROPOSED_AT else {"fusion.timestep": str(t)}) for t in TIMESTEPS),
    ),
    "universal": Table(
        "One set of light weights for all five tasks beside one for each",
        (_RETRIEVAL, _INSTANCES, _NAMES, _PCK, _MASKS),
        (Row(FUSED, seeds=SEEDS), Row("Universal", task=UNIVERSAL)),
    ),
}
