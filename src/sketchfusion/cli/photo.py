"""Commands about single pictures: segment and match compare a sketch with a photo, inspect shows features."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from . import terminal
from .terminal import Json, Model, app

if TYPE_CHECKING:
    from PIL import Image

    from ..io.images import Kind

Sketch = Annotated[str, typer.Argument(metavar="SKETCH", help=terminal.SKETCH)]
Photo = Annotated[str, typer.Argument(metavar="PHOTO", help="Picture.")]


@app.command()
def segment(
    sketch: Sketch,
    photo: Photo,
    out: Annotated[Path | None, typer.Option(help="Write the mask (PNG, white on black) here.")] = None,
    overlay: Annotated[Path | None, typer.Option(help="Write the photo with its mask (PNG) here.")] = None,
    threshold: Annotated[
        float | None, typer.Option(min=0, max=1, help="Heat above which a pixel is in the mask, at any score.")
    ] = None,
    no_refine: Annotated[bool, typer.Option("--no-refine", help="Leave the mask's edges as they are.")] = False,
    model: Model = "mini",
    as_json: Json = False,
) -> None:
    """Cut what a sketch shows out of a photo."""
    from ..io.images import read_image
    from ..models import load
    from ..tasks.pictures import mask_image, mask_picture
    from ..tasks.segmentation import can_refine
    from ..tasks.segmentation import segment as cut

    terminal.check_ending(".png", out, overlay)
    pixels = read_image(photo)
    found = cut(load(model), sketch, pixels, threshold, not no_refine)
    if out:
        _save(mask_image(found.mask), out)
    if overlay:
        _save(mask_picture(pixels, found.mask), overlay)
    share = float(found.mask.mean())
    if as_json:
        answer = {"score": found.score, "threshold": found.threshold, "refined": found.refined, "share": share}
        height, width = found.mask.shape
        terminal.print_json({**answer, "width": width, "height": height})
        return
    without = "" if no_refine or can_refine() else '; ran without CRF: pip install "sketchfusion[crf]"'
    verdict = f"{share:.1%} of the photo" if share else "it does not seem to be there"
    typer.echo(f"{verdict}, score {found.score:.2f}{without}")


@app.command()
def match(
    sketch: Sketch,
    photo: Photo,
    points: Annotated[
        str | None, typer.Option(help='Points to match, as "x,y x,y" in pixels; by default spread over the strokes.')
    ] = None,
    source: Annotated[Literal["sketch", "photo"], typer.Option(help="Where the points lie.")] = "sketch",
    picture: Annotated[Path | None, typer.Option(help="Write both with their matches (PNG) here.")] = None,
    model: Model = "mini",
    as_json: Json = False,
) -> None:
    """Find the points of a photo that match points of a sketch, or the other way round."""
    from ..io.images import NormalisedSketch, read_image
    from ..models import load
    from ..tasks.correspondence import match as find
    from ..tasks.inputs import read_sketch

    terminal.check_ending(".png", picture)
    drawing, pixels = read_sketch(sketch), read_image(photo)
    asked = _points(points) if points is not None else None
    found = find(load(model), NormalisedSketch(drawing), pixels, asked, source)
    if picture:
        from ..tasks.pictures import match_picture

        _save(match_picture(drawing, pixels, found), picture)
    if as_json:
        return terminal.print_json([asdict(one) for one in found])
    rows = [[_point(one.sketch), _point(one.photo), f"{one.score:.3f}", "yes" if one.mutual else "no"] for one in found]
    terminal.print_table(["sketch", "photo", "score", "mutual"], rows)


def _save(picture: "Image.Image", path: Path) -> None:
    from ..io.files import atomic_write

    with atomic_write(path) as draft:
        picture.save(draft, format="PNG")


def _points(text: str) -> list[tuple[float, float]]:
    found = []
    for pair in text.replace(";", " ").split():
        try:
            x, y = map(float, pair.split(","))
        except ValueError:
            raise ValueError(f'--points "{text}": {pair!r} is not a point; write "x,y x,y"') from None
        found.append((x, y))
    if not found:
        raise ValueError('--points is empty; write "x,y x,y"')
    return found


def _point(point: tuple[float, float]) -> str:
    return f"{point[0]:.1f},{point[1]:.1f}"


@app.command()
def inspect(
    images: Annotated[list[str], typer.Argument(metavar="IMAGE...", help="Photos and sketches.")],
    out: Annotated[Path, typer.Option(help="The page (.html) to write.")],
    sketch: Annotated[bool, typer.Option("--sketch", help="All are sketches; by default the pixels decide.")] = False,
    photo: Annotated[bool, typer.Option("--photo", help="All are photos.")] = False,
    task: Annotated[str | None, typer.Option(help="Which light weights.")] = None,
    model: Model = "mini",
    as_json: Json = False,
) -> None:
    """Show PCA maps and Fourier spectra of CLIP, SD and fused features side by side."""
    from PIL import Image

    from ..analysis.inside import branch_weights, component_maps
    from ..analysis.page import Inspected, page, spectra
    from ..io.cleanup import is_drawing
    from ..io.files import atomic_write
    from ..io.images import read_image, to_uint8
    from ..models import load

    terminal.check_ending(".html", out)
    if sketch and photo:
        raise ValueError("--sketch and --photo exclude each other; without both, the pixels decide")
    extractor = load(model)
    weights = branch_weights(extractor, task)
    inspected = []
    with terminal.progress_bar("extracting") as progress:
        for number, source in enumerate(images, start=1):
            picture = read_image(source)
            kind: Kind = "sketch" if sketch or (not photo and is_drawing(picture)) else "photo"
            picture = read_image(picture, kind)
            maps = component_maps(extractor, [picture], [kind], task)[0]
            inspected.append(Inspected(Path(source).name, kind, Image.fromarray(to_uint8(picture)), maps))
            progress(number, len(images))
    with atomic_write(out) as draft:
        draft.write_text(page(inspected, weights, extractor.name, extractor.fingerprint), encoding="utf-8")
    kinds: tuple[Kind, ...] = ("photo", "sketch")
    found = {kind: spectra(inspected, kind) for kind in kinds}
    if as_json:
        figures = {
            kind: {name: {"mean frequency": one.cycles, "fine share": one.fine} for name, one in by_name.items()}
            for kind, by_name in found.items()
        }
        pictures = [{"name": one.name, "kind": one.kind} for one in inspected]
        terminal.print_json({"pictures": pictures, "spectra": figures, "branch weights": weights})
        return
    typer.echo(f"{out}: {', '.join(f'{one.name} ({one.kind})' for one in inspected)}")
