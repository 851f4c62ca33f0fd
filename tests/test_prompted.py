"""Words as the UNet's prompt: the empty one is the null prompt, others change what is seen, and nothing is copied."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from fixtures.photos import photo
from fixtures.pixels import PixelExtractor
from sketchfusion.features import SketchFusion
from sketchfusion.gallery import Gallery, GalleryError
from sketchfusion.prompted import prompted
from sketchfusion.world import World


@pytest.fixture(scope="module")
def model() -> SketchFusion:
    return SketchFusion.from_pretrained("mini")


def drawing() -> torch.Tensor:
    picture = torch.tensor(World(seed=3).sketch("cat", 5, 0)[0]).float() / 255
    return picture.expand(3, -1, -1)


def test_an_empty_prompt_is_the_null_prompt_and_words_change_what_is_seen(model: SketchFusion) -> None:
    plain = model.embed([drawing()], kind="sketch")
    assert torch.equal(prompted(model, "").embed([drawing()], kind="sketch"), plain)
    told = prompted(model, "a photo of a red car").embed([drawing()], kind="sketch")
    assert not torch.allclose(told, plain, atol=1e-3)
    assert torch.equal(model.embed([drawing()], kind="sketch"), plain)
    other = prompted(model, "a cat")
    assert other.model.light is model.model.light and other.model.diffusion is model.model.diffusion


def test_a_gallery_is_searched_by_a_sketch_seen_under_words(model: SketchFusion, tmp_path: Path) -> None:
    for number in range(3):
        photo(tmp_path / "photos" / f"{number}.png", number)
    gallery = Gallery.open(tmp_path / "g", model)
    gallery.add(tmp_path / "photos")
    told = prompted(model, "a cat").embed([drawing()], kind="sketch")
    expected = {hit.path: hit.score for hit in gallery.find(told.numpy(), 3)}
    found = gallery.search(drawing(), 3, text="a cat", prompted=True)
    assert {hit.path: hit.score for hit in found} == pytest.approx(expected)
    with pytest.raises(GalleryError, match="give a sketch and a text"):
        gallery.search(None, text="a cat", prompted=True)


def test_a_model_without_a_unet_has_no_prompt() -> None:
    with pytest.raises(ValueError, match="pixels has no prompt"):
        prompted(PixelExtractor(), "a cat")
