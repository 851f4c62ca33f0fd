"""Commands that look inside the models: inspect."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from . import terminal
from .options import Json, ModelOption, app

if TYPE_CHECKING:
    from ..io.images import Kind


@app.command()
def inspect(
    images: Annotated[list[str], typer.Argument(metavar="IMAGE...", help="Photos and sketches.")],
    out: Annotated[Path, typer.Option(help="The page (.html) to write.")],
    sketch: Annotated[bool, typer.Option("--sketch", help="All are sketches; else each is looked at to tell.")] = False,
    photo: Annotated[bool, typer.Option("--photo", help="All are photos.")] = False,
    task: Annotated[str | None, typer.Option(help="Which light weights.")] = None,
    model: ModelOption = "mini",
    as_json: Json = False,
) -> None:
    """Show PCA maps and Fourier spectra of CLIP, SD and fused features side by side."""
    from PIL import Image

    from ..analysis.inside import branch_weights, inside
    from ..analysis.page import Inspected, page, spectra
    from ..io.cleanup import is_drawing
    from ..io.images import read_image
    from ..models import load

    if sketch and photo:
        raise ValueError(
            "the pictures are sketches or photos, not both; leave both options out to let each be looked at"
        )
    extractor = load(model)
    weights = branch_weights(extractor, task)
    inspected = []
    with terminal.bar("looking") as progress:
        for number, source in enumerate(images, start=1):
            picture = read_image(source)
            kind: Kind = "sketch" if sketch or (not photo and is_drawing(picture)) else "photo"
            picture = read_image(picture, kind)
            maps = inside(extractor, [picture], [kind], task)[0]
            pixels = (picture * 255).round().byte().permute(1, 2, 0).numpy()
            inspected.append(Inspected(Path(source).name, kind, Image.fromarray(pixels), maps))
            progress(number, len(images))
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(page(inspected, weights, extractor.name, extractor.fingerprint), encoding="utf-8")
    kinds: tuple[Kind, ...] = ("photo", "sketch")
    found = {kind: spectra(inspected, kind) for kind in kinds}
    if as_json:
        figures = {
            kind: {name: {"mean frequency": one.cycles, "fine share": one.fine} for name, one in by_name.items()}
            for kind, by_name in found.items()
        }
        pictures = [{"name": one.name, "kind": one.kind} for one in inspected]
        terminal.say({"pictures": pictures, "spectra": figures, "branch weights": weights})
        return
    typer.echo(f"{out}: {', '.join(f'{one.name} ({one.kind})' for one in inspected)}")
