"""Pretraining of the mini models and training of the light parts; only the command line imports it."""
