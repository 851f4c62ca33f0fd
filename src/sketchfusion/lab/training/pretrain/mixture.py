"""Training batches for CLIP and its teacher: named photos, sketches, outlines and pseudo-sketches, Sketch World."""

from __future__ import annotations

import torch
from torch import Generator, Tensor, nn

from .. import augment
from ..bank import choose
from ..pseudo import pseudo_points
from ..recipes import MixtureRecipe
from ..sources import Sources
from .prompts import Names

DRAWN = 40  # photos of each name and size that get a pseudo-sketch
PER_CLASS = 2  # photos, and as many sketches, of a class that has both


class Mixture:
    """Batches with fixed shares per source; most pictures come with others of their name, of both kinds."""

    def __init__(self, sources: Sources, recipe: MixtureRecipe) -> None:
        self._recipe, self.device = recipe, sources.device
        self._photos = [bank for bank in (sources.sharp_photos(), sources.small_photos()) if len(bank)]
        self._sketches = sources.sketches()
        self._world_photos, self._world_sketches = sources.world()
        pairs = [pseudo_points(photos, sources.cache, DRAWN) for photos in self._photos]
        self._drawn = [of for of in pairs if len(of.photos)]
        self._shared = [
            (photos, name)
            for photos in self._photos
            for name in sorted(set(photos.by_name) & set(self._sketches.by_name))
        ]

    def vocabulary(self) -> list[str]:
        """Return the names of all pictures."""
        return sorted({name for bank in (*self._photos, self._sketches, self._world_photos) for name in bank.by_name})

    def drawn(self) -> list[str]:
        """Return the names of all sketches, the default labels of `recognize`."""
        return sorted({name for bank in (self._sketches, self._world_sketches) for name in bank.by_name})

    def batch(self, side: int, generator: Generator) -> tuple[Tensor, Names]:
        """Draw augmented pictures (B, 3, side, side) in [0, 1] and their names."""
        recipe, pictures, names = self._recipe, [], Names()

        def photos(drawn: tuple[Tensor, Names]) -> None:
            pictures.append(augment.photos(drawn[0], side, generator))
            names.extend(drawn[1])

        def sketches(drawn: tuple[Tensor, Names]) -> None:
            pictures.append(augment.sketches(drawn[0], side, generator))
            names.extend(drawn[1])

        if self._shared:
            chosen = torch.randint(len(self._shared), (recipe.shared_classes,), generator=generator).tolist()
            for bank in self._photos:
                wanted = [n for photos_of, n in (self._shared[c] for c in chosen) if photos_of is bank] * PER_CLASS
                if wanted:
                    photos(bank.draw_named(wanted, generator))
                    sketches(self._sketches.draw_named(wanted, generator))
        world = sorted(self._world_photos.by_name)
        some = torch.randperm(len(world), generator=generator)[: recipe.world_classes].tolist()
        wanted = [world[place] for place in some] * PER_CLASS
        photos(self._world_photos.draw_named(wanted, generator))
        sketches(self._world_sketches.draw_named(wanted, generator))
        for bank in self._photos:
            photos(bank.draw(recipe.photos, generator))
            index = [choose(bank.seen, generator) for _ in range(recipe.outlines)]
            images, of = bank.take(index), [bank.names[n] for n in index]
            photos((images, of))
            sketches((augment.outline(images, generator), of))
        for pairs in self._drawn:
            index = torch.randint(len(pairs.photos), (recipe.drawn,), generator=generator).tolist()
            of = [pairs.photos.names[n] for n in index]
            photos((pairs.photos.take(index), of))
            sketches((pairs.sketches.take(index), of))
        sketches(self._sketches.draw(recipe.sketches, generator))
        return torch.cat(pictures), names


class Naming(nn.Linear):
    """A linear classifier of all names, initialised to predict their frequencies.

    Otherwise it would learn the frequencies through the tower, making every picture's vector the same at first.
    """

    def __init__(self, width: int, mixture: Mixture, batches: int = 40) -> None:
        vocabulary = mixture.vocabulary()
        super().__init__(width, len(vocabulary))
        generator = torch.Generator().manual_seed(0)
        shares = torch.zeros(len(vocabulary))
        for _ in range(batches):
            _, names = mixture.batch(16, generator)
            shares += as_shares(fitting(names, vocabulary)).mean(0) / batches
        nn.init.zeros_(self.weight)
        with torch.no_grad():
            self.bias.copy_((shares + 0.1 / len(vocabulary)).log())


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
