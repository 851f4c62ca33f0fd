"""Pretraining of the mini foundation models: `sketchfusion pretrain STAGE --budget cpu|gpu`."""

from .run import STAGES, run

__all__ = ["STAGES", "run"]
