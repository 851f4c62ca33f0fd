"""Recognition: CLIP's probabilities, averaged prompts, free labels, and labels given by examples."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw
from torch import Tensor
from torch.nn import functional as F

from fixtures.pixels import PixelExtractor
from sketchfusion.errors import ImageError
from sketchfusion.tasks.recognition import (
    EXAMPLES_SCALE,
    LEARNED_PENALTY,
    PHOTO_PROMPTS,
    SKETCH_PROMPTS,
    joint_space,
    prototypes,
    recognize,
)


class Alphabet:
    """Places a text by its letters and a picture by a letter's worth of ink; knows two names."""

    name, labels, classes, joint_dim, logit_scale = "alphabet", ("bee", "ant", "bee"), (), 26, 10.0

    def encode_text(self, prompts: Sequence[str]) -> Tensor:
        counts = [[prompt.count(letter) + 0.01 for letter in "abcdefghijklmnopqrstuvwxyz"] for prompt in prompts]
        return F.normalize(torch.tensor(counts), dim=1)

    def encode_image(self, images: Sequence[Tensor], kind: str = "photo") -> Tensor:
        return F.normalize(torch.stack([torch.arange(26.0) * image.mean() + 1 for image in images]), dim=1)


def drawing(size: int = 40) -> Image.Image:
    image = Image.new("RGB", (size, size), "white")
    ImageDraw.Draw(image).ellipse((8, 8, 32, 28), outline="black", width=3)
    return image


def test_scores_are_the_softmax_over_averaged_prompts() -> None:
    model, labels = Alphabet(), ["cat", "dog", "zebra"]
    guesses = recognize(model, drawing(), labels, k=3)[0]
    image = model.encode_image([torch.from_numpy(np.array(drawing())).permute(2, 0, 1) / 255])[0]
    logits = []
    for label in labels:
        mean = torch.stack([model.encode_text([prompt.format(label)])[0] for prompt in SKETCH_PROMPTS]).mean(0)
        logits.append(10.0 * float(image @ mean / mean.norm()))
    expected = torch.softmax(torch.tensor(logits), 0)
    assert {guess.label: guess.score for guess in guesses} == pytest.approx(
        dict(zip(labels, expected.tolist(), strict=True)), abs=2e-3
    )
    assert [guess.score for guess in guesses] == sorted((guess.score for guess in guesses), reverse=True)
    assert sum(guess.score for guess in guesses) == pytest.approx(1)


def test_photos_and_sketches_have_prompts_of_their_own() -> None:
    model = Alphabet()
    sketches, photos = prototypes(model, ["cat"], "sketch"), prototypes(model, ["cat"], "photo")
    assert np.linalg.norm(photos) == pytest.approx(1)
    assert not np.allclose(sketches, photos)
    assert any("photo" in prompt for prompt in PHOTO_PROMPTS)
    assert not any("photo" in prompt for prompt in SKETCH_PROMPTS)


def test_labels_default_to_those_of_the_model_without_duplicates() -> None:
    assert {guess.label for guess in recognize(Alphabet(), drawing())[0]} == {"bee", "ant"}
    assert len(recognize(Alphabet(), drawing(), ["x", " x ", "", "y"], k=9)[0]) == 2
    assert len(recognize(Alphabet(), drawing(), ["x", "y"], k=1)[0]) == 1


def test_learned_names_give_way_to_new_ones_but_not_to_one_another() -> None:
    scores = {guess.label: guess.score for guess in recognize(Alphabet(), drawing(), ["bee", "ant", "cat"])[0]}
    texts = prototypes(Alphabet(), ["bee", "ant", "cat"])
    shown = Alphabet().encode_image([torch.from_numpy(np.array(drawing())).permute(2, 0, 1) / 255])[0].numpy()
    bee, ant, cat = 10.0 * (texts @ shown)
    assert np.log(scores["bee"] / scores["ant"]) == pytest.approx(bee - ant, abs=1e-2)
    assert np.log(scores["cat"] / scores["ant"]) == pytest.approx(cat - ant + 10.0 * LEARNED_PENALTY, abs=1e-2)


def test_missing_labels_and_blank_sketches_are_refused_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no list of names; give some"):
        recognize(Alphabet(), drawing(), [" "])
    blank = tmp_path / "blank.png"
    Image.new("L", (30, 30), 255).save(blank)
    with pytest.raises(ImageError, match=r"blank\.png: the sketch is blank"):
        recognize(Alphabet(), [drawing(), blank], ["x"])


def at(x: int) -> Image.Image:
    image = Image.new("RGB", (40, 40), "white")
    ImageDraw.Draw(image).rectangle((x, 10, x + 8, 30), fill="black")
    return image


def test_examples_define_labels_that_the_model_does_not_know() -> None:
    model, examples = PixelExtractor(), {"blorp": [at(2), at(4)], "gleeb": [at(26), at(28), at(30)]}
    guesses = recognize(model, [at(3), at(29)], examples=examples)
    assert [row[0].label for row in guesses] == ["blorp", "gleeb"]
    means = torch.stack([F.normalize(model.embed(shown, "sketch").mean(0), dim=0) for shown in examples.values()])
    expected = torch.softmax(EXAMPLES_SCALE * model.embed([at(3)], "sketch") @ means.T, dim=1)[0]
    assert [guess.score for guess in guesses[0]] == pytest.approx(expected.tolist(), abs=1e-5)
    assert [[guess.label for guess in row] for row in recognize(model, at(3), ["gleeb"], examples=examples)] == [
        ["gleeb"]
    ]


def test_missing_or_blank_examples_are_refused_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="'wug' has no example"):
        recognize(PixelExtractor(), at(3), ["blorp", "wug"], examples={"blorp": [at(2)]})
    with pytest.raises(ValueError, match="'wug' has no example"):
        recognize(PixelExtractor(), at(3), examples={"blorp": [at(2)], "wug": []})
    blank = tmp_path / "blank.png"
    Image.new("L", (30, 30), 255).save(blank)
    with pytest.raises(ImageError, match=r"blank\.png: the sketch is blank"):
        recognize(PixelExtractor(), at(3), examples={"blorp": [at(2), blank]})


def test_a_model_without_text_encoder_or_classifier_cannot_recognize() -> None:
    with pytest.raises(ValueError, match="pixels cannot read words"):
        joint_space(PixelExtractor())


def test_a_fused_model_agrees_with_the_library_on_its_clip(model_folder: Path, clip_folder: Path) -> None:
    from transformers import CLIPModel

    from sketchfusion.models import load

    model = joint_space(load(model_folder))
    library = CLIPModel.from_pretrained(clip_folder)
    assert model.logit_scale == pytest.approx(float(library.logit_scale.detach().exp()))
    assert model.labels == ("cat", "dog", "cat")
    assert {guess.label for guess in recognize(model, drawing())[0]} == {"cat", "dog"}
