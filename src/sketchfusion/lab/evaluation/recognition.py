"""Recognition measured: by names, from examples by a classifier, a linear head and few-shot prototypes, and by probes.

The paper trains a classifier and does not say which head its frozen baselines get. So that features are compared, not
heads, all models get the same linear head here, those with a classifier of their own too.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import groupby

import numpy as np
import torch
from torch import Tensor

from ...analysis.inside import Spectrum, component_maps, mean_spectrum, spectrum
from ...analysis.page import PLURALS
from ...extractor import Extractor
from ...io.images import Kind
from ...tasks.recognition import Namer, unit_means
from ..datasets.base import Dataset, Sample, comparable_name, held_out, is_unseen, readable_name
from .metrics import Estimate, Values, accuracy, bootstrap, target_ranks
from .result import Result, by_category
from .retrieval import BATCH, LabelledImages, Progress, counter, embed_labelled


def labelled_pictures(samples: Iterable[Sample]) -> LabelledImages:
    return [(sample.picture, sample.label) for sample in samples]


# A linear classifier in closed form, the same for all probes and models.

PENALTIES = (1e-2, 1e-1, 1.0, 10.0, 100.0)  # of the ridge


def fit_ridge(features: Tensor, labels: Tensor, classes: int, penalty: float) -> Callable[[Tensor], Tensor]:
    """Fit ridge regression of standardised features (N, C) to one-hot labels (N,); give (N, C) -> (N, classes)."""
    mean, spread = features.mean(dim=0), features.std(dim=0).clamp(min=1e-6)

    def ready(x: Tensor) -> Tensor:
        return torch.cat([(x - mean) / spread, x.new_ones(len(x), 1)], dim=1)

    x = ready(features)
    targets = torch.nn.functional.one_hot(labels, classes).to(x.dtype)
    weights = torch.linalg.solve(x.T @ x + penalty * len(x) * torch.eye(x.shape[1], dtype=x.dtype), x.T @ targets)
    return lambda unseen: ready(unseen) @ weights


def chosen_ridge(features: Tensor, labels: Tensor, classes: int) -> Callable[[Tensor], Tensor]:
    """Fit by `fit_ridge` with the penalty that does best on every fourth picture when fitted to the others."""
    fourth = torch.arange(len(features)) % 4 == 0

    def validated(penalty: float) -> float:
        scores = fit_ridge(features[~fourth], labels[~fourth], classes, penalty)(features[fourth])
        return float((scores.argmax(dim=1) == labels[fourth]).double().mean())

    return fit_ridge(features, labels, classes, max(PENALTIES, key=validated))


SHOTS = (1, 5, 10)
DRAWS = 5  # of the examples of a few shots, averaged


def benchmark_examples(
    model: Extractor, examples: LabelledImages, pictures: LabelledImages, progress: Progress | None = None
) -> Result:
    """Classify sketches after learning from `examples`: Acc@1 and Acc@5 of each way to learn.

    linear head    ridge regression on the pooled features of all examples, its penalty chosen on a quarter of them
    k-shot         nearest mean of k examples of each class (Snell et al., 2017), or of all where there are fewer
    classifier     the model's own, if it was trained for recognition; it may have seen other examples

    ValueError if a picture's label has no example.
    """
    count = counter(progress, len(examples) + len(pictures))
    vectors, example_labels = embed_labelled(model, examples, "sketch", count, "recognition")
    query_vectors, true_labels = embed_labelled(model, pictures, "sketch", count, "recognition")
    labels = sorted(set(example_labels))
    place = {label: n for n, label in enumerate(labels)}
    if unknown := sorted(set(true_labels) - set(labels)):
        raise ValueError(f"{unknown[0]!r} has no example to learn from")
    x, y = torch.from_numpy(vectors).double(), torch.tensor([place[label] for label in example_labels])
    queries, targets = torch.from_numpy(query_vectors).double(), np.array([place[label] for label in true_labels])
    scores = {"linear head": [chosen_ridge(x, y, len(labels))(queries)]}
    generator = torch.Generator().manual_seed(0)
    for shots in SHOTS:
        scores[f"{shots}-shot"] = [queries @ _means(x, y, shots, generator).T for _ in range(DRAWS)]
    trained = model.heads_for("recognition").classifier
    known = trained.labels if trained else ()
    spelt = [next((name for name in (readable_name(of), comparable_name(of)) if name in known), None) for of in labels]
    if None not in spelt:  # as in training or without words in brackets
        columns = [known.index(name) for name in spelt if name]
        scores["classifier"] = [model.classify([image for image, _ in pictures]).double()[:, columns]]
    values: dict[str, Values] = {}
    for name, draws in scores.items():
        ranks = [target_ranks(one.numpy(), targets, np.zeros(len(labels), np.int64))[1] for one in draws]
        values |= {f"Acc@{k}/{name}": np.mean([accuracy(one, k) for one in ranks], axis=0) for k in (1, 5)}
    foremost = "classifier" if "classifier" in scores else "linear head"
    return Result(
        model.name,
        model.fingerprint,
        about=f"{len(pictures)} sketches of {len(labels)} classes, named after {len(examples)} examples.",
        counts={"pictures": len(pictures), "examples": len(examples), "labels": len(labels)},
        metrics={name: bootstrap(value) for name, value in values.items()},
        rows=by_category({f"Acc@{k}": values[f"Acc@{k}/{foremost}"] for k in (1, 5)}, true_labels),
        trivial={"guessing": {"Acc@1": 1 / len(labels)}},
    )


def _means(x: Tensor, y: Tensor, shots: int, generator: torch.Generator) -> Tensor:
    """Draw so many examples of each class: unit means (classes, d) of features (N, d) with classes (N,)."""
    order = torch.randperm(len(x), generator=generator)
    chosen = [order[y[order] == n][:shots] for n in range(int(y.max()) + 1)]
    return torch.from_numpy(unit_means([x[index] for index in chosen])).double()


def benchmark_naming(
    model: Extractor, pictures: LabelledImages, labels: Sequence[str], kind: Kind, progress: Progress | None = None
) -> Result:
    """Acc@1 and Acc@5 of `recognize` with the names `labels` to choose from.

    Recognition is zero-shot (CLIP, 2021, section 3.1), unless the model's classifier takes part; then Acc@k/text are
    the zero-shot figures. ValueError if there are no pictures, or one whose label is not among `labels`.
    """
    if not pictures:
        raise ValueError(f"no {kind} to name")
    names = {label: readable_name(label) for label in labels}
    if unknown := sorted({label for _, label in pictures} - set(names)):
        raise ValueError(f"{unknown[0]!r} is not among the {len(names)} names to choose from")
    namers = {"": Namer(model, list(names.values()), kind)}
    if namers[""].classifies:
        namers["/text"] = Namer(model, list(names.values()), kind, classify=False)
    offered = len(namers[""].labels)
    ranks: dict[str, list[int]] = {way: [] for way in namers}
    count = counter(progress, len(pictures))
    for start in range(0, len(pictures), BATCH):
        batch = pictures[start : start + BATCH]
        for way, namer in namers.items():
            likely = namer.log_probabilities([image for image, _ in batch])
            targets = np.array([namer.labels.index(names[label]) for _, label in batch])
            ranks[way] += target_ranks(likely, targets, np.zeros(len(namer.labels), np.int64), start)[1].tolist()
        count(len(batch))
    values = {f"Acc@{k}{way}": accuracy(found, k) for way, found in ranks.items() for k in (1, 5)}
    return Result(
        model.name,
        model.fingerprint,
        about=f"{len(pictures)} pictures, to be named from {offered} names.",
        counts={"pictures": len(pictures), "labels": offered},
        metrics={name: bootstrap(value) for name, value in values.items()},
        rows=by_category({f"Acc@{k}": values[f"Acc@{k}"] for k in (1, 5)}, [label for _, label in pictures]),
        chance={"Acc@1": 1 / offered},
    )


# Linear probes: how well the features of each part of the frozen models separate classes of photos and of sketches. The
# paper's pilot study finds that Stable Diffusion's features of sketches are inferior to those of photos.

TRAINED, TESTED = 8, 3  # pictures of each class and kind
KINDS: tuple[Kind, ...] = tuple(PLURALS)


# Of one picture: its label, the features of each part, averaged over its cells, and their spectra.
Probed = tuple[str, dict[str, Tensor], dict[str, Spectrum]]


def benchmark_probe(model: Extractor, dataset: Dataset, progress: Progress | None = None) -> Result:
    """Fit a linear classifier to each feature, separately for photos and sketches, and test it on held-out pictures.

    Of each seen class, `TRAINED` pictures are fitted and `TESTED` are tested. The rows have accuracies and mean spectra
    of the tested pictures. DatasetError for a data set whose sketches are of no particular photos, or with too few.
    """
    classes = [name for name in dataset.categories if not is_unseen(name)]
    sketches, photos = dataset.instances(classes)
    sides: dict[Kind, list[Sample]] = {"photo": photos, "sketch": sketches}
    samples = {(kind, test): list(_some(side, test)) for kind, side in sides.items() for test in (False, True)}
    if not all(samples.values()):
        raise dataset.error("too few photos with sketches of seen classes; one in five is tested")
    count, probed = counter(progress, sum(map(len, samples.values()))), dict[tuple[Kind, bool], list[Probed]]()
    for (kind, test), side in samples.items():
        probed[kind, test] = []
        for sample in side:
            maps = component_maps(model, [sample.picture], [kind])[0]
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
        counts={f"{PLURALS[kind]}{' tested' if test else ''}": len(rows) for (kind, test), rows in probed.items()},
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
