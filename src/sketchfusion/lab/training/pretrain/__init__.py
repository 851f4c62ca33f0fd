"""Pretraining of the mini foundation models: `sketchfusion pretrain STAGE --budget cpu|gpu`."""
