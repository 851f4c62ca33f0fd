"""Pretraining of the mini foundation models: `sketchfusion pretrain STAGE --budget cpu|gpu`."""

from sketchfusion.training.pretrain.run import STAGES, run

__all__ = ["STAGES", "run"]
