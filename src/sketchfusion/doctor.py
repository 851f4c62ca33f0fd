"""Report what is installed, which weights are cached, and whether the model in the package works."""

import os
import platform
import time
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np
import torch

from .backbones.catalog import CATALOG, Card, locate
from .extractor import pick_device
from .io.weights import WeightsError, folder_hash
from .models import load

PACKAGES = ("sketchfusion", "torch", "diffusers", "transformers", "safetensors", "lancedb", "numpy", "pillow")


def examine() -> dict[str, Any]:
    """Collect versions, device, memory, weights with hash and licence, and a self-test of the model in the package."""
    device = pick_device()
    cuda, threads = device.type == "cuda", f"{device.type}, {torch.get_num_threads()} threads"
    return {
        "versions": {"python": platform.python_version(), **{name: _version(name) for name in PACKAGES}},
        "device": f"{device.type}: {torch.cuda.get_device_name(device)}" if cuda else threads,
        "memory_gib": _memory(),
        "weights": _weights(),
        "self_test": _self_test(),
    }


def describe(report: dict[str, Any]) -> str:
    """Format the report of `examine` as lines of text."""
    test, lines = report["self_test"], list[str]()
    lines.append("versions   " + ", ".join(f"{name} {number}" for name, number in report["versions"].items()))
    lines += [f"device     {report['device']}", f"memory     {report['memory_gib'] or 'unknown'} GiB", "weights"]
    for row in report["weights"]:
        there = row["sha256"][:16] if row["sha256"] else f"not here: {row['get']}"
        lines.append(f"  {row['name']:<12} {there}  ({row['licence']})")
    passed = f"passed; loaded in {test.get('load_seconds')} s, {test.get('embed_seconds')} s a picture"
    return "\n".join([*lines, f"self-test  {passed if test['passed'] else test['reason']}"])


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def _memory() -> float | None:
    try:
        return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1)
    except (AttributeError, OSError, ValueError):  # unknown on this platform
        return None


def _weights() -> list[dict[str, Any]]:
    rows = []
    for card in CATALOG.values():
        if isinstance(card, Card):
            row: dict[str, Any] = {"name": card.name, "licence": card.licence, "sha256": None}
            try:
                row["sha256"] = folder_hash(locate(card.name, offline=True))
            except WeightsError:
                row["get"] = card.repositories[0]
            rows.append(row)
    return rows


def _self_test() -> dict[str, Any]:
    """Embed two pictures twice with mini: expect the same bits, unit length, and two different vectors."""
    started = time.monotonic()
    try:
        model = load("mini")
    except ValueError as error:
        return {"passed": False, "reason": str(error)}
    loaded = time.monotonic()
    ramp = np.linspace(0, 255, 96, dtype=np.uint8)
    pictures = [np.broadcast_to(ramp[:, None, None], (96, 96, 3)), np.zeros((96, 64, 3), np.uint8)]
    first, second = (model.embed([picture.copy() for picture in pictures]) for _ in range(2))
    checks = {
        "gives other bits the second time": bool((first == second).all()),
        "gives vectors that are not of unit length": bool(((first.norm(dim=1) - 1).abs() < 1e-4).all()),
        "gives two different pictures the same vector": float(first[0] @ first[1]) < 0.9999,
    }
    failed = [name for name, passed in checks.items() if not passed]
    return {
        "passed": not failed,
        "reason": f"mini {failed[0]}" if failed else "",
        "load_seconds": round(loaded - started, 2),
        "embed_seconds": round((time.monotonic() - loaded) / 4, 3),
    }
