"""Loaders for the layouts that people have on disk, and the published splits."""
