"""Linear probes: how well the features of each part of the frozen models separate classes of photos and of sketches.

The paper's pilot study finds that Stable Diffusion's features of sketches are inferior to those of photos.
"""

from collections.abc import Iterator, Sequence
from itertools import groupby

import torch
from torch import Tensor

from ...analysis.inside import Spectrum, component_maps, mean_spectrum, spectrum
from ...extractor import Extractor
from ...io.images import Kind
from ..datasets.base import Dataset, Sample, held_out, is_unseen
from .metrics import Estimate, bootstrap
from .recognition import chosen_ridge
from .result import Result
from .retrieval import Progress, counter

TRAINED, TESTED = 8, 3  # pictures of each class and kind
PLURAL: dict[Kind, str] = {"photo": "photos", "sketch": "sketches"}
KINDS: tuple[Kind, ...] = tuple(PLURAL)


# Of one picture: its label, the features of each part, averaged over its cells, and their spectra.
Probed = tuple[str, dict[str, Tensor], dict[str, Spectrum]]


def benchmark_probe(model: Extractor, dataset: Dataset, progress: Progress | None = None) -> Result:
    """Fit a linear classifier to each feature, separately for photos and sketches, and test it on held-out pictures.

    Of each seen class, `TRAINED` pictures are fitted and `TESTED` are tested. The rows have accuracies and mean spectra
    of the tested pictures. DatasetError for a data set whose sketches are of no particular photos.
    """
    classes = [name for name in dataset.categories if not is_unseen(name)]
    sketches, photos = dataset.instances(classes)
    sides: dict[Kind, list[Sample]] = {"photo": photos, "sketch": sketches}
    samples = {(kind, test): list(_some(side, test)) for kind, side in sides.items() for test in (False, True)}
    count, probed = counter(progress, sum(map(len, samples.values()))), dict[tuple[Kind, bool], list[Probed]]()
    for (kind, test), side in samples.items():
        probed[kind, test] = []
        for sample in side:
            maps = component_maps(model, [sample.source], [kind])[0]
            pooled = {name: one.data[:, one.valid()].mean(dim=1) for name, one in maps.items()}
            spectra = {name: spectrum(one) for name, one in maps.items()}
            probed[kind, test].append((sample.label, pooled, spectra))
            count(1)
    names = list(probed["photo", True][0][1])
    metrics = {
        f"{name}, {kind}": _accuracy(probed[kind, False], probed[kind, True], name) for name in names for kind in KINDS
    }
    mean = {
        kind: {name: mean_spectrum([spectra[name] for *_, spectra in probed[kind, True]]) for name in names}
        for kind in KINDS
    }
    return Result(
        model.name,
        model.fingerprint,
        about=f"Accuracy of a linear classifier of {len(classes)} classes on features averaged over the picture.",
        counts={f"{PLURAL[kind]}{' tested' if test else ''}": len(rows) for (kind, test), rows in probed.items()},
        metrics=metrics,
        trivial={"guessing": {"accuracy": 1 / len(classes)}},
        rows={
            name: {
                **{f"{kind} accuracy": metrics[f"{name}, {kind}"].mean for kind in KINDS},
                **{f"{kind} mean frequency": mean[kind][name].cycles for kind in KINDS},
                **{f"{kind} fine share": mean[kind][name].fine for kind in KINDS},
            }
            for name in names
        },
    )


def _accuracy(trained: Sequence[Probed], tested: Sequence[Probed], name: str) -> Estimate:
    labels = sorted({label for label, *_ in trained})
    place = {label: n for n, label in enumerate(labels)}
    (x, y), (x_test, y_test) = (
        (
            torch.stack([pooled[name] for label, pooled, _ in rows if label in place]).double(),
            torch.tensor([place[label] for label, *_ in rows if label in place]),
        )
        for rows in (trained, tested)
    )
    right = chosen_ridge(x, y, len(labels))(x_test).argmax(dim=1) == y_test
    return bootstrap(right.double().numpy())


def _some(samples: Sequence[Sample], test: bool) -> Iterator[Sample]:
    """Take a few samples of each class, of held-out photos to test with and of the others to fit to."""
    for _, of_class in groupby(samples, key=lambda sample: sample.label):
        side = [sample for sample in of_class if held_out(sample.photo_id) == test]
        yield from side[: TESTED if test else TRAINED]
