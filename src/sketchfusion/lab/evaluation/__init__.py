"""Metrics, benchmarks, reports and the demo."""
