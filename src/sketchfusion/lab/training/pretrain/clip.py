"""The mini CLIP: pictures and class names in one space, with photos and sketches of one thing close together.

The vision tower regresses a teacher's features, per patch and pooled, and goes on learning names with the teacher's
classifier, which is not saved; the text tower and the projections learn to match it (Zhai et al., LiT, 2022). Contrast
of two untrained towers collapsed: at first all pictures are alike, and both towers learn to output one direction. Names
serve as captions, so several pictures of a batch may match one text: each match is a positive (Yang et al., UniCL,
2022).
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn

from ....backbones.mini import build_clip
from ..bank import PictureArray
from ..loop import Losses, Report, fit
from ..recipes import ClipRecipe, shaping
from ..sources import Sources
from .mixture import Mixture, as_shares, fitting
from .neighbours import attend_to_neighbours
from .prompts import TEMPLATES, pick, prompt, tokenizer_for
from .store import load_part, save_clip
from .teacher import train_teacher

if TYPE_CHECKING:
    from transformers import CLIPModel, CLIPTokenizer
    from transformers.modeling_outputs import BaseModelOutputWithPooling


MEAN = (0.48145466, 0.4578275, 0.40821073)  # CLIP's own normalisation
STD = (0.26862954, 0.26130258, 0.27577711)


def pretrain_clip(
    sources: Sources, recipe: ClipRecipe, out: Path, start: Path | None, resume: bool, report: Report | None
) -> dict[str, float]:
    """Train both towers, from those in `start` if given, and write `out/clip`; return the model card's figures."""
    from transformers import CLIPTokenizer

    mixture = Mixture(sources, recipe.mixture)
    teacher = train_teacher(sources, recipe.teacher, out, report)
    torch.manual_seed(recipe.schedule.seed)
    vocabulary = mixture.vocabulary()
    if start:
        tokenizer, clip = CLIPTokenizer.from_pretrained(start / "clip"), load_part(start / "clip")
    else:
        tokenizer = tokenizer_for(vocabulary, out / "training" / "clip" / "tokenizer", resume)
        clip = build_clip(tokenizer)
        attend_to_neighbours(clip.vision_model)
    width = clip.config.vision_config.hidden_size
    dense, pooled = nn.Linear(width, teacher.width), nn.Linear(width, teacher.width)  # not saved
    naming = teacher.naming.requires_grad_(True)
    trained = nn.ModuleDict({"clip": clip, "dense": dense, "whole": pooled, "naming": naming}).to(sources.device)
    full_size = recipe.full_size_after * recipe.schedule.steps

    def loss_of(step: int, generator: Generator) -> Losses:
        pictures, names = mixture.batch(recipe.side if step < full_size else side_of(clip), generator)
        features = teacher(pictures)
        output = vision_forward(clip, pictures)
        patches = F.layer_norm(output.hidden_states[-2][:, 1:], (width,))  # the layer whose tokens are injected
        patch_loss = F.mse_loss(dense(patches), F.layer_norm(features.flatten(2).mT, (teacher.width,)))
        vector = pooled(output.pooler_output)
        # A channel that the teacher hardly uses has nearly no variance, so its normalised values can be a hundred.
        pooled_loss = F.mse_loss(vector, teacher.vector(features).clamp(-5, 5))
        named = F.cross_entropy(naming(vector), as_shares(fitting(names, vocabulary, sources.device)))
        texts = sorted({pick(n, generator) for n in names})
        image = F.normalize(clip.visual_projection(output.pooler_output.detach()), dim=-1)
        text = encode_texts(clip, tokenizer, [prompt(text, generator) for text in texts])
        contrast = two_way(
            clip.logit_scale.exp().clamp(max=100) * image @ text.T, fitting(names, texts, sources.device)
        )
        loss = contrast + recipe.follow * (patch_loss + pooled_loss) + recipe.naming * named
        return {"loss": loss, "dense": patch_loss, "whole": pooled_loss, "naming": named, "contrast": contrast}

    fit(trained, loss_of, recipe.schedule, out / "training" / "clip", resume, report, settings=shaping(recipe))
    clip.eval()
    save_clip(clip, tokenizer, out, mixture.drawn(), MEAN, STD)
    return {
        f"clip/zero-shot top-1, held-out {kind}, among their {len(bank.by_name)} names": top_1(clip, tokenizer, bank)
        for kind, bank in (("sketches", sources.held_out_sketches()), ("photos", sources.held_out_photos()))
        if len(bank)
    }


def side_of(clip: CLIPModel) -> int:
    """Return the side, in pixels, that the vision tower was made for."""
    side: int = clip.config.vision_config.image_size
    return side


def encode_pictures(clip: CLIPModel, pictures: Tensor) -> Tensor:
    """(B, 3, S, S) in [0, 1] -> (B, p), L2-normalised."""
    return F.normalize(clip.visual_projection(vision_forward(clip, pictures).pooler_output), dim=-1)


def vision_forward(clip: CLIPModel, pictures: Tensor) -> BaseModelOutputWithPooling:
    """(B, 3, S, S) in [0, 1] -> the vision tower's output, with the tokens of every block."""
    if pictures.shape[-1] > side_of(clip):
        pictures = F.interpolate(pictures, (side_of(clip),) * 2, mode="bicubic", antialias=True).clamp(0, 1)
    mean, std = (pictures.new_tensor(values).view(1, 3, 1, 1) for values in (MEAN, STD))
    output: BaseModelOutputWithPooling = clip.vision_model(
        (pictures - mean) / std, interpolate_pos_encoding=True, output_hidden_states=True
    )
    return output


def encode_texts(clip: CLIPModel, tokenizer: CLIPTokenizer, texts: list[str]) -> Tensor:
    """Texts -> (N, p), L2-normalised."""
    tokens = tokenizer(texts, padding=True, truncation=True, return_tensors="pt").to(clip.device)
    output = clip.text_model(input_ids=tokens.input_ids, attention_mask=tokens.attention_mask)
    return F.normalize(clip.text_projection(output.pooler_output), dim=-1)


def two_way(logits: Tensor, positive: Tensor) -> Tensor:
    """Contrastive loss of pictures to texts and back, with several positives. (B, N) logits and bool -> ()."""
    target = positive.float()
    pictures = -(F.log_softmax(logits, 1) * target).sum(1) / target.sum(1)
    texts = -(F.log_softmax(logits, 0) * target).sum(0) / target.sum(0)
    return (pictures.mean() + texts.mean()) / 2


@torch.no_grad()
def top_1(clip: nn.Module, tokenizer: CLIPTokenizer, bank: PictureArray) -> float:
    """Return the share of pictures whose name is nearest among all names, each averaged over the templates."""
    labels = sorted({names[0] for names in bank.names})
    prompts = [template.format(label) for label in labels for template in TEMPLATES]
    texts = encode_texts(clip, tokenizer, prompts).view(len(labels), len(TEMPLATES), -1).mean(1)
    correct = 0
    for start in range(0, len(bank), 64):
        index = list(range(start, min(start + 64, len(bank))))
        pictures = bank.take(index).expand(-1, 3, -1, -1)
        guess = (encode_pictures(clip, pictures) @ texts.T).argmax(1).tolist()
        correct += sum(labels[g] == bank.names[i][0] for g, i in zip(guess, index, strict=True))
    return correct / len(bank)
