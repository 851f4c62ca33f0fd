"""What the paper's tables have (SketchFusion, CVPR 2025, tables 1 to 6), by table, row and metric.

Table 1 is Sketchy's part: the two columns are mAP@200 and P@200, under a definition of mAP@200 that it does not give.
Of CLIP -> DINOv2, table 6 has no row: the text says that mAP@200 drops by 32.80 %, as ever a share of the lower figure.
Table 2 does not say whether photos of one category are ranked or all of them. Table 3 is Quick, Draw!.
"""

from __future__ import annotations

_RETRIEVAL = "mAP@200/min(k,R)"
_ABLATION = ("PCK@0.05", "mIoU", _RETRIEVAL, "Acc@1")
_COLUMNS: dict[str, tuple[str, ...]] = {
    "1": (_RETRIEVAL, "P@200"),
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
