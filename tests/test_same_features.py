"""The features of the shipped weights stay what they are, bit for bit: ten fixed pictures, mini and every baseline.

`python tests/test_same_features.py` writes the reference anew; do that only when weights are meant to change.
"""

from __future__ import annotations

import functools
import hashlib
import json
import platform
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import sketchfusion
from sketchfusion.world import SEEN, UNSEEN, World

REFERENCE = Path(__file__).parent / "fixtures" / "data" / "features.json"
MODELS = ["mini", "mini/correspondence", "mini:B-CLIP", "mini:B-SD", "mini:B-SD+CLIP", "mini:B-DINO", "scratch"]
KEPT = 12  # numbers of each embedding that are written out, to compare on other machines
NAMES = [*SEEN[::9][:5], *UNSEEN[::3][:5]]


@functools.cache
def pictures(kind: str) -> list[np.ndarray]:
    """Five sketches or five photos, (S, S, 3) uint8, of Sketch World's seen and unseen categories."""
    drawn = []
    for name in NAMES[:5] if kind == "sketch" else NAMES[5:]:
        world = World(split="seen" if name in SEEN else "unseen")
        if kind == "photo":
            drawn.append(world.photo(name, 950).photo)
        else:
            drawn.append(world.sketch(name, 950, 0)[0][:, :, None].repeat(3, axis=2))
    return drawn


def digest(array: np.ndarray) -> str:
    return hashlib.sha256(np.ascontiguousarray(array, np.float32).tobytes()).hexdigest()[:32]


def measure(name: str) -> dict[str, Any]:
    """Hashes of pixels, embeddings and dense maps of the ten pictures, and the first numbers of each embedding."""
    model, _, task = name.partition("/")
    extractor = sketchfusion.load(model, task=task or None)
    found: dict[str, Any] = {}
    for kind in ("sketch", "photo"):
        shown = pictures(kind)
        vectors = extractor.embed(shown, kind=kind).numpy()
        maps = np.stack([one.data.numpy() for one in extractor.extract(shown, kind=kind)])
        found[kind] = {
            "pixels": digest(np.stack(shown).astype(np.float32)),
            "vectors": digest(vectors),
            "maps": digest(maps),
            "begin": np.round(vectors[:, :KEPT].astype(float), 6).tolist(),
            "mean": float(maps.mean(dtype=np.float64)),
        }
    return found


def machine() -> str:
    """What bits depend on besides the weights: libraries and the processor's instructions."""
    return f"torch {torch.__version__}, {platform.machine()} {torch.backends.cpu.get_cpu_capability()}"


@pytest.mark.parametrize("name", MODELS)
def test_features_of_shipped_weights_are_the_same(name: str) -> None:
    reference = json.loads(REFERENCE.read_text())
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # sums are split by threads
    try:
        found = measure(name)
    finally:
        torch.set_num_threads(threads)
    for kind, now in found.items():
        before = reference["models"][name][kind]
        assert np.allclose(now["begin"], before["begin"], atol=2e-4), f"{name}: embeddings of a {kind} changed"
        assert abs(now["mean"] - before["mean"]) < 1e-4 * max(1.0, abs(before["mean"]))
        if reference["machine"] == machine():
            assert {key: now[key] for key in ("pixels", "vectors", "maps")} == {
                key: before[key] for key in ("pixels", "vectors", "maps")
            }, f"{name}: features of a {kind} differ in some bits"


if __name__ == "__main__":
    torch.set_num_threads(1)
    record = {"machine": machine(), "models": {name: measure(name) for name in MODELS}}
    REFERENCE.parent.mkdir(exist_ok=True)
    REFERENCE.write_text(json.dumps(record, indent=1) + "\n")
    sys.stdout.write(f"{REFERENCE}\n")
