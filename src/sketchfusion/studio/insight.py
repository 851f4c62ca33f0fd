"""What the models see of a drawing and of a photo, side by side. Only the model's thread asks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..analysis.inside import branch_weights, inside, pca_pictures, spectrum
from .closeup import within
from .drawing import Sketch
from .pictures import Bytes, enlarged, png_url
from .replies import FeaturePictures, InspectAnswer, Spectrum

if TYPE_CHECKING:
    from ..extractor import BatchExtractor
    from ..featuremap import FeatureMap
    from ..io.images import Kind
    from .closeup import Photo


SIDE = 256  # longer side of a picture of features


def look_inside(model: BatchExtractor, sketch: Sketch, photo: Photo | None) -> InspectAnswer:
    """Colour each feature by its principal components, and say how coarse or fine it is."""
    kinds: list[Kind] = ["sketch", "photo"] if photo else ["sketch"]
    pictures = [sketch.picture, photo.picture] if photo else [sketch.picture]
    seen = inside(model, pictures, kinds)
    maps, spectra = [], []
    for feature in seen[0]:
        each = [features[feature] for features in seen]
        coloured = [_shown(pixels, map_) for pixels, map_ in zip(pca_pictures(each), each, strict=True)]
        maps.append(FeaturePictures(feature=feature, sketch=coloured[0], photo=coloured[1] if photo else None))
        for kind, map_ in zip(kinds, each, strict=True):
            curve = spectrum(map_)
            spectra.append(
                Spectrum(
                    feature=feature,
                    kind=kind,
                    frequency=[round(value, 4) for value in curve.frequency.tolist()],
                    amplitude=[round(value, 4) for value in curve.amplitude.tolist()],
                )
            )
    return InspectAnswer(maps=maps, spectra=spectra, branch_weights=branch_weights(model))


def _shown(pixels: Bytes, map_: FeatureMap) -> str:
    inner = within(pixels, map_)
    height, width = inner.shape[:2]
    factor = SIDE / max(height, width)
    return png_url(enlarged(inner, round(width * factor), round(height * factor)))
