"""Frozen foundation models: the libraries' own classes, read and corrected by hooks."""
