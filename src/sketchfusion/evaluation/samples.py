"""What a diffusion model draws, named by a judge that has learned from real photos and has never met the model."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from ..backbones.catalog import locate
from ..backbones.drawing import draw
from ..baselines.sd import SdBaseline
from ..datasets.tinyimagenet import TinyImageNet
from ..features import SketchFusion
from ..io.hashes import folder_hash
from .coarse import COARSE, coarse_of
from .judge import STEPS, Judge
from .measured import Measured
from .metrics import bootstrap

if TYPE_CHECKING:
    from pathlib import Path

    from ..extractor import BatchExtractor

PROMPT = "a photo of a {}"


def benchmark_samples(
    model: BatchExtractor,
    data: str,
    each: int = 20,
    progress: Callable[[int, int], None] | None = None,
    steps: int = STEPS,
    seed: int = 0,
) -> Measured:
    """Draw `each` pictures of every coarse name and let a judge choose among the ten.

    The judge trains for `steps` batches on the photos of the tiny-imagenet root `data` and is tested on its validation
    photos. Prompts go through the classes that a coarse name stands for, in turn. ValueError for a model without a
    diffusion model, or a root that lacks some coarse name.
    """
    folder = _diffusion_of(model)
    dataset = TinyImageNet(data)
    coarse = coarse_of(dataset)
    by_name: dict[str, list[Path]] = {name: [] for name in COARSE}
    for path, wnid in dataset.train():
        if wnid in coarse:
            by_name[coarse[wnid]].append(path)
    if lacking := [name for name, photos in by_name.items() if not photos]:
        raise ValueError(f"{data} has no photo of any {lacking[0]} to train the judge on")
    wanted = [(PROMPT.format(_asked(name, n)), name) for name in COARSE for n in range(each)]

    def done(before: int) -> Callable[[int, int], None]:
        return lambda more, _: progress(before + more, steps + len(wanted)) if progress else None

    judge = Judge.trained(by_name, steps, seed, done(0))
    first = {names[0]: wnid for wnid, names in dataset.synonyms.items()}
    tested = [(one.source, coarse[first[one.label]]) for one in dataset.validation() if first[one.label] in coarse]
    drawn = draw(folder, [prompt for prompt, _ in wanted], seed, progress=done(steps))
    right = {
        "samples": _right(judge.name(drawn), [name for _, name in wanted]),
        "photos": _right(judge.name([photo for photo, _ in tested]), [name for _, name in tested]),
    }
    of = {"samples": np.array([name for _, name in wanted]), "photos": np.array([name for _, name in tested])}
    return Measured(
        model=model.name,
        fingerprint=folder_hash(folder),
        what=(
            f"Drawn pictures of {len(COARSE)} coarse names (25 steps, guidance 4), and real photos that the judge has "
            "not seen, named by a small CNN trained on real photos alone."
        ),
        counts={"samples": len(wanted), "photos": len(tested), "photos trained on": sum(map(len, by_name.values()))},
        metrics={f"Acc@1 of {kind}": bootstrap(values) for kind, values in right.items()},
        trivial={"guessing": {"Acc@1": 1 / len(COARSE)}},
        per_category={
            name: {kind: float(values[of[kind] == name].mean()) for kind, values in right.items()} for name in COARSE
        },
    )


def _asked(coarse: str, number: int) -> str:
    """The class that the `number`th picture of a coarse name is asked for, as the model has read it."""
    names = COARSE[coarse]
    return names[number % len(names)].replace("-", " ").lower()


def _right(given: list[str], wanted: list[str]) -> np.ndarray:
    return np.array([float(a == b) for a, b in zip(given, wanted, strict=True)])


def _diffusion_of(model: BatchExtractor) -> Path:
    if isinstance(model, SketchFusion):
        return locate(model.config.diffusion)
    if isinstance(model, SdBaseline):
        return locate(model.name)
    raise ValueError(f"{model.name} has no diffusion model that could draw; choose mini, mini-sd or another")
