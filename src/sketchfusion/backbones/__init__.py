"""Frozen foundation models, adapted by hooks and never forked."""
