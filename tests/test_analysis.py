"""PCA and spectra of maps whose answer is known, and the report page."""

from __future__ import annotations

import math
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw

from fixtures.pixels import PixelExtractor
from sketchfusion.analysis.inside import branch_weights, component_maps, mean_spectrum, pca_pictures, spectrum
from sketchfusion.analysis.page import Inspected, line_chart, page
from sketchfusion.featuremap import FeatureMap, Frame
from sketchfusion.features import SketchFusion
from sketchfusion.io.cleanup import is_drawing
from sketchfusion.io.images import read_image

SQUARE = Frame(64, 64, 64, 1.0, 1.0, 0, 0)
WIDE = Frame(128, 64, 64, 0.5, 0.5, 0, 16)


def wave(cycles: int, side: int = 32, frame: Frame = SQUARE, mean: float = 10.0) -> FeatureMap:
    across = torch.cos(2 * math.pi * cycles * (torch.arange(side) + 0.5) / side)
    return FeatureMap((mean + across)[None, None].repeat(3, side, 1), frame)


def test_a_wave_has_its_energy_at_its_own_frequency() -> None:
    for cycles in (1, 4, 12):
        found = spectrum(wave(cycles))
        assert found.cycles == pytest.approx(cycles)
        assert found.fine == pytest.approx(float(cycles > 8), abs=1e-9)
        assert found.frequency[1 + found.amplitude[1:].argmax()] == pytest.approx(cycles / 16)
        assert found.amplitude[0] == 0


def test_the_curve_is_the_mean_amplitude_of_each_ring() -> None:
    data = torch.randn(5, 8, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64) + 3
    found = spectrum(FeatureMap(data, SQUARE))
    amplitude = np.abs(np.fft.fft2(data.numpy())).mean(axis=0)
    rings: dict[int, list[float]] = {}
    for row in range(8):
        for column in range(8):
            radius = math.hypot(min(row, 8 - row), min(column, 8 - column))
            rings.setdefault(round(radius), []).append(amplitude[row, column])
    expected = [math.log(np.mean(rings[k]) / amplitude[0, 0]) for k in range(5)]
    assert found.amplitude == pytest.approx(expected)
    assert found.frequency == pytest.approx([0, 0.25, 0.5, 0.75, 1])


def test_padding_does_not_change_a_spectrum() -> None:
    padded = wave(3, 32, WIDE)
    padded.data[:, :8] = padded.data[:, 24:] = 1e3 * torch.randn(3, 8, 32)
    assert spectrum(padded).cycles == pytest.approx(3)
    mean = mean_spectrum([spectrum(padded), spectrum(wave(5))])
    assert mean.cycles == pytest.approx(4)


def test_a_constant_map_has_no_energy_at_all() -> None:
    found = spectrum(FeatureMap(torch.ones(2, 4, 4), SQUARE))
    assert found.fine == 0 and found.cycles == 0 and np.isfinite(found.amplitude).all()


def test_pca_colours_alike_what_is_alike_and_ignores_padding() -> None:
    generator = torch.Generator().manual_seed(1)
    kinds = torch.randn(5, 12, generator=generator)
    layout = torch.arange(256).reshape(16, 16) % 5
    data = kinds[layout].permute(2, 0, 1) + 0.01 * torch.randn(12, 16, 16, generator=generator)
    data[:, :4] = 1e4
    one, two = pca_pictures([FeatureMap(data, WIDE), FeatureMap(data.flip(2).contiguous(), WIDE)])
    assert one.shape == (16, 16, 3) and one.dtype == np.uint8
    assert (one[:4] == 255).all()
    inner = layout[4:12]
    spread = [one[4:12][inner == kind].std(axis=0).max() for kind in range(5)]
    means = np.stack([one[4:12][inner == kind].mean(axis=0) for kind in range(5)])
    gaps = np.linalg.norm(means[:, None] - means[None], axis=2)[np.triu_indices(5, 1)]
    assert max(spread) < 20 < gaps.min()
    assert (two == one[:, ::-1]).all()


def test_pca_of_few_channels_and_of_nothing() -> None:
    assert pca_pictures([]) == []
    assert pca_pictures([FeatureMap(torch.ones(2, 3, 3), SQUARE)])[0].shape == (3, 3, 3)
    with pytest.raises(ValueError, match="same number of channels"):
        pca_pictures([FeatureMap(torch.ones(2, 3, 3), SQUARE), FeatureMap(torch.ones(3, 3, 3), SQUARE)])


def drawing(colour: str = "black") -> Image.Image:
    image = Image.new("RGB", (60, 60), "white")
    ImageDraw.Draw(image).ellipse((10, 10, 50, 50), outline=colour, width=3)
    return image


def test_drawings_are_told_from_photos() -> None:
    noise = np.random.default_rng(0).integers(0, 255, (60, 60, 3), dtype=np.uint8)
    assert is_drawing(read_image(drawing()))
    assert not is_drawing(read_image(noise))
    assert not is_drawing(read_image(Image.new("RGB", (60, 60), "black")))
    red = Image.new("RGB", (60, 60), "white")
    ImageDraw.Draw(red).ellipse((10, 10, 50, 50), fill="red")
    assert not is_drawing(read_image(red))


def test_component_maps_are_what_the_parts_compute(model_folder: Path) -> None:
    model = SketchFusion.from_pretrained(model_folder)
    pictures = [drawing(), drawing("gray")]
    found = component_maps(model, pictures, ["sketch", "photo"])
    assert list(found[0]) == ["CLIP", "SD up0", "SD up1", "SD up2", "fused"]
    for maps, picture, kind in zip(found, pictures, ("sketch", "photo"), strict=True):
        assert torch.allclose(maps["fused"].data, model.extract([picture], kind)[0].data, atol=1e-5)  # type: ignore[arg-type]
        encoded = model.encode([picture], kind)  # type: ignore[arg-type]
        assert torch.equal(maps["CLIP"].data, encoded.tokens[0].float())
    plain = SketchFusion.untrained(config=model.config)  # whose injection adds nothing
    encoded = plain.encode([pictures[0]], "sketch")
    with torch.no_grad():
        stages = plain.model.stages(encoded.latents, encoded.tokens)
    for name, value in stages.items():
        assert torch.allclose(found[0][f"SD {name}"].data, value[0], atol=1e-5)
    weights = branch_weights(model)
    assert list(weights) == ["up0", "up1", "up2"] and sum(weights.values()) == pytest.approx(1)
    with pytest.raises(ValueError, match="pixels is not a fused model"):
        component_maps(PixelExtractor(), [drawing()], ["sketch"])


class Balanced(HTMLParser):
    """Counts what is open, and notes every address that the page names."""

    def __init__(self) -> None:
        super().__init__()
        self.addresses: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.addresses += [value or "" for name, value in attrs if name in ("src", "href", "xlink:href")]


def test_the_page_needs_no_other_file_and_no_name_breaks_it() -> None:
    maps = {name: wave(2, side) for name, side in (("CLIP", 8), ("SD up0", 8), ("SD up1", 16), ("fused", 32))}
    shown = [
        Inspected("<script>alert(1)</script>.png", "sketch", drawing(), maps),
        Inspected("b.png", "sketch", drawing(), maps),
        Inspected("c.jpg", "photo", drawing("gray"), maps),
    ]
    text = page(shown, {"up0": 0.4, "up1": 0.6}, "mini", "f" * 64)
    reader = Balanced()
    reader.feed(text)
    assert len(reader.addresses) == 3 * 5 and all(one.startswith("data:image/png;base64,") for one in reader.addresses)
    assert "<script" not in text and "1 photo and 2 sketches" in text
    assert text.count("<polyline") == 2 * len(maps)
    assert "http" not in re.sub(r"base64,[^\"]*", "", text)
    alone = page(shown[:2], {"up0": 1.0}, "mini", "f" * 64)
    assert "2 sketches" in alone and alone.count("<polyline") == len(maps)


def test_a_chart_keeps_its_curves_inside() -> None:
    drawn = line_chart(
        {"a": ([0, 0.5, 1], [0, -3.7, -8.2]), "b": ([0, 1], [0, 1.4])}, {"a": "red", "b": "blue"}, "x", "y", "z"
    )
    points = [
        tuple(map(float, pair.split(","))) for line in re.findall(r'points="([^"]+)"', drawn) for pair in line.split()
    ]
    assert len(points) == 5
    assert all(46 <= x <= 448 and 12 <= y <= 230 for x, y in points)
    flat = line_chart({"a": ([0, 1], [0, 0])}, {"a": "red"}, "x", "y", "z")
    assert "nan" not in flat and "inf" not in flat
