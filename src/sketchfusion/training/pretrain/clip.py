"""The mini CLIP: pictures and class names in one space, photos and sketches of a thing close together.

The vision tower learns from a plain classifier of the names, which is left behind afterwards; the text tower and the
projections learn to meet it (Zhai et al., LiT, 2022). Contrast from the first step on, tried before, collapsed: at the
start all pictures look alike, and what both towers learn first is to point the same way. Names stand for captions, so
several pictures of a batch may fit one text: every fitting pair is a positive (Yang et al., UniCL, 2022).
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn

from sketchfusion.backbones.mini import build_clip
from sketchfusion.training import augment
from sketchfusion.training.bank import Bank
from sketchfusion.training.loop import Losses, Report, fit
from sketchfusion.training.pretrain.prompts import TEMPLATES, Names, pick, prompt, tokenizer_for
from sketchfusion.training.pretrain.sources import Sources
from sketchfusion.training.pretrain.store import save_clip
from sketchfusion.training.recipes import ClipRecipe

if TYPE_CHECKING:
    from transformers import CLIPModel, CLIPTokenizer

MEAN = (0.48145466, 0.4578275, 0.40821073)  # CLIP's own normalisation
STD = (0.26862954, 0.26130258, 0.27577711)


def pretrain_clip(
    sources: Sources, recipe: ClipRecipe, out: Path, resume: bool, report: Report | None
) -> dict[str, float]:
    """Train both towers and write `out/clip`; returns the figures of the model card."""
    torch.manual_seed(recipe.schedule.seed)
    mixture = Mixture(sources, recipe)
    vocabulary = mixture.vocabulary()
    tokenizer = tokenizer_for(vocabulary)
    clip = build_clip(tokenizer)
    naming = Naming(clip.config.vision_config.hidden_size, mixture)  # left behind after training
    trained = nn.ModuleDict({"clip": clip, "naming": naming})
    full_size = recipe.full_size_after * recipe.schedule.steps

    def loss_of(step: int, generator: Generator) -> Losses:
        side = recipe.side if step < full_size else clip.config.vision_config.image_size
        pictures, names = mixture.batch(side, generator)
        texts = sorted({pick(n, generator) for n in names})
        pooled = pool(clip, pictures)
        image = F.normalize(clip.visual_projection(pooled.detach()), dim=-1)
        text = encode_texts(clip, tokenizer, [prompt(text, generator) for text in texts])
        contrast = two_way(clip.logit_scale.exp().clamp(max=100) * image @ text.T, fitting(names, texts))
        target = fitting(names, vocabulary).float()
        named = F.cross_entropy(naming(pooled), target / target.sum(1, keepdim=True))
        return {"loss": contrast + recipe.naming * named, "contrast": contrast, "naming": named}

    average = fit(trained, loss_of, recipe.schedule, out / "training" / "clip", resume, report)
    trained.load_state_dict({**trained.state_dict(), **average})
    clip.eval()
    save_clip(clip, tokenizer, out, mixture.drawn(), MEAN, STD)
    return {
        f"clip/zero-shot top-1, held-out {kind} of seen classes": top_1(clip, tokenizer, bank)
        for kind, bank in (("sketches", sources.held_out_sketches()), ("photos", sources.held_out_photos()))
        if len(bank)
    }


class Naming(nn.Linear):
    """A classifier of all names that knows from the start how frequent each is, and nothing else.

    Left to learn that, it would do so through the tower: every picture's vector would first become the same one.
    """

    def __init__(self, width: int, mixture: Mixture, batches: int = 40) -> None:
        vocabulary = mixture.vocabulary()
        super().__init__(width, len(vocabulary))
        generator = torch.Generator().manual_seed(0)
        shares = torch.zeros(len(vocabulary))
        for _ in range(batches):
            _, names = mixture.batch(16, generator)
            target = fitting(names, vocabulary).float()
            shares += (target / target.sum(1, keepdim=True)).mean(0) / batches
        nn.init.zeros_(self.weight)
        with torch.no_grad():
            self.bias.copy_((shares + 0.1 / len(vocabulary)).log())


class Mixture:
    """Batches of photos, sketches, pseudo-sketches and Sketch World with the names of each picture."""

    def __init__(self, sources: Sources, recipe: ClipRecipe) -> None:
        self._photos, self._sketches = sources.sharp_photos(), sources.sketches()
        self._small = sources.small_photos()
        self._world_photos, self._world_sketches = sources.world()
        self._outlined = self._photos.seen()
        self._recipe = recipe
        drawn = set(self._sketches.by_name)
        self._pairs = [
            (photos, name) for photos in (self._photos, self._small) for name in sorted(set(photos.by_name) & drawn)
        ]

    def vocabulary(self) -> list[str]:
        """Every name that some picture has."""
        banks = (self._photos, self._sketches, self._small, self._world_photos)
        return sorted({name for bank in banks for name in bank.by_name})

    def drawn(self) -> list[str]:
        """Every name that some sketch has: what `recognize` chooses from unless told otherwise."""
        return sorted({name for bank in (self._sketches, self._world_sketches) for name in bank.by_name})

    def batch(self, side: int, generator: Generator) -> tuple[Tensor, Names]:
        """Augmented pictures (B, 3, side, side) in [0, 1] and their names."""
        recipe, pictures, names = self._recipe, [], Names()

        def add(images: Tensor, of: Names) -> None:
            pictures.append(images)
            names.extend(of)

        chosen = torch.randint(len(self._pairs), (recipe.shared_classes,), generator=generator).tolist()
        for bank in (self._photos, self._small):
            wanted = [name for photos, name in (self._pairs[c] for c in chosen) if photos is bank for _ in range(2)]
            if wanted:
                images, of = bank.draw_named(wanted, generator)
                add(augment.photos(images, side, generator), of)
                images, of = self._sketches.draw_named(wanted, generator)
                add(augment.sketches(images, side, generator), of)
        images, of = self._sketches.draw(recipe.sketches, generator)
        add(augment.sketches(images, side, generator), of)
        images, of = self._outlined.draw(recipe.outlines, generator)
        add(augment.sketches(augment.outline(images, generator), side, generator), of)
        images, of = self._world_photos.draw(recipe.world, generator)
        add(augment.photos(images, side, generator), of)
        images, of = self._world_sketches.draw(recipe.world, generator)
        add(augment.sketches(images, side, generator), of)
        if len(self._small) and recipe.small_photos:
            images, of = self._small.draw(recipe.small_photos, generator)
            add(augment.photos(images, side, generator), of)
        return torch.cat(pictures), names


def encode_pictures(clip: CLIPModel, pictures: Tensor) -> Tensor:
    """(B, 3, S, S) in [0, 1] -> (B, p), L2-normalised."""
    return F.normalize(clip.visual_projection(pool(clip, pictures)), dim=-1)


def pool(clip: CLIPModel, pictures: Tensor) -> Tensor:
    """(B, 3, S, S) in [0, 1] -> (B, width): the vision tower's own vector of a picture."""
    side = clip.config.vision_config.image_size
    if pictures.shape[-1] > side:
        pictures = F.interpolate(pictures, (side, side), mode="bicubic", antialias=True).clamp(0, 1)
    mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (MEAN, STD))
    pooled: Tensor = clip.vision_model((pictures - mean) / std, interpolate_pos_encoding=True).pooler_output
    return pooled


def encode_texts(clip: CLIPModel, tokenizer: CLIPTokenizer, texts: list[str]) -> Tensor:
    """Texts -> (N, p), L2-normalised."""
    tokens = tokenizer(texts, padding=True, truncation=True, return_tensors="pt")
    output = clip.text_model(input_ids=tokens.input_ids, attention_mask=tokens.attention_mask)
    return F.normalize(clip.text_projection(output.pooler_output), dim=-1)


def two_way(logits: Tensor, fits: Tensor) -> Tensor:
    """Contrast of pictures with texts and of texts with pictures, every fitting pair a positive. (B, N) -> ()."""
    target = fits.float()
    pictures = -(F.log_softmax(logits, 1) * target).sum(1) / target.sum(1)
    texts = -(F.log_softmax(logits, 0) * target).sum(0) / target.sum(0)
    return (pictures.mean() + texts.mean()) / 2


def fitting(names: Names, texts: list[str]) -> Tensor:
    """Which texts are names of which pictures, (B, N) bool."""
    return torch.tensor([[text in of for text in texts] for of in names])


@torch.no_grad()
def top_1(clip: nn.Module, tokenizer: CLIPTokenizer, bank: Bank) -> float:
    """Share of pictures whose own name, averaged over the templates, is nearest among all names of the bank."""
    labels = sorted({names[0] for names in bank.names})
    prompts = [template.format(label) for label in labels for template in TEMPLATES]
    texts = encode_texts(clip, tokenizer, prompts).view(len(labels), len(TEMPLATES), -1).mean(1)
    right = 0
    for start in range(0, len(bank), 64):
        index = list(range(start, min(start + 64, len(bank))))
        pictures = bank.take(index).expand(-1, 3, -1, -1)
        guess = (encode_pictures(clip, pictures) @ texts.T).argmax(1).tolist()
        right += sum(labels[g] == bank.names[i][0] for g, i in zip(guess, index, strict=True))
    return right / len(bank)
