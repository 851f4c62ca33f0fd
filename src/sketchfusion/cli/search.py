"""Commands for someone who draws: search, recognize, features."""

import json
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import ImageError, escaped
from . import terminal
from .terminal import GalleryOption, Json, MaybeSketches, Model, OptionalModel, Sketches, app

if TYPE_CHECKING:
    from torch import Tensor

    from ..gallery import Gallery, Hit
    from ..io.images import Kind

BATCH = 16  # pictures at a time


@app.command()
def search(
    sketches: MaybeSketches = None,
    gallery: GalleryOption = None,
    k: Annotated[int, typer.Option("-k", min=1, help="How many photos.")] = 10,
    category: Annotated[str | None, typer.Option(help="Only photos in a folder of this name.")] = None,
    where: Annotated[str | None, typer.Option(help='SQL condition, as "width > 640".')] = None,
    text: Annotated[str | None, typer.Option(help="What the photos show, in words; with or without a sketch.")] = None,
    like: Annotated[Path | None, typer.Option(help="Find photos similar to this one; it is left out itself.")] = None,
    min_score: Annotated[
        float | None, typer.Option(min=0, max=1, help="Leave out photos of less confidence; 0.9 is strict.")
    ] = None,
    group: Annotated[bool, typer.Option("--group", help="Show near-duplicates as one.")] = False,
    diffuse: Annotated[
        bool, typer.Option("--diffuse", help="Rank photos higher that are similar to good answers: finds more.")
    ] = False,
    guess: Annotated[
        bool, typer.Option("--guess/--no-guess", help="Look for what the model takes a sketch for, too.")
    ] = True,
    model: OptionalModel = None,
    sheet: Annotated[Path | None, typer.Option(help="Write a contact sheet (PNG) here.")] = None,
    show: Annotated[bool, typer.Option("--open", help="Show the contact sheet in the desktop's viewer.")] = False,
    paths0: Annotated[bool, typer.Option("--paths0", help="Print paths only, for xargs -0.")] = False,
    as_json: Json = False,
) -> None:
    """Find photos that show what a sketch, a text or another photo shows; several sketches are averaged."""
    from ..gallery import Gallery, Query
    from ..io.weights import cache_folder
    from ..tasks.inputs import read_sketches

    if as_json and paths0:
        raise ValueError("--json and --paths0 exclude each other")
    terminal.check_ending(".png", sheet)
    opened = Gallery.open(terminal.existing_gallery(gallery), model)
    pictures = read_sketches(sketches) if sketches else []
    query = Query(pictures, text, like, k, category, where, min_score, group, diffuse, also=None if guess else {})
    hits = opened.answer(query)
    if hits.guesses:
        names = ", ".join(f"{name} ({share:.0%})" for name, share in hits.guesses.items())
        typer.echo(f"also looking for: {names}; --no-guess looks for the drawing alone", err=True)
    if sheet or show:
        from ..gallery.sheet import contact_sheet, query_row
        from ..io.images import read_image

        shown = pictures[0] if pictures else read_image(like, "photo") if like else None
        name = sketches[0] if sketches else str(like or text)
        sheet = sheet or cache_folder() / "found.png"
        sheet.parent.mkdir(parents=True, exist_ok=True)
        contact_sheet(opened, [query_row(name, shown, opened, hits)]).save(sheet, format="PNG")
        typer.echo(f"contact sheet: {sheet}", err=True)
        if show:
            typer.launch(str(sheet))
    if as_json:
        terminal.print_json([vars(hit) for hit in hits])
    elif paths0:
        typer.echo("".join(f"{hit.path}\0" for hit in hits), nl=False)
    else:
        _print_hits(hits, opened)


def _print_hits(hits: "Sequence[Hit]", gallery: "Gallery") -> None:
    """Print rank, confidence and short path for people; for programs also score and category, and the whole path."""
    if not sys.stdout.isatty():
        rows = [
            [f"{hit.rank}", f"{hit.score:.4f}", f"{hit.confidence:.2f}", *map(escaped, (hit.category, hit.path))]
            for hit in hits
        ]
        return terminal.print_table([], rows)
    folder = os.path.commonpath([os.path.dirname(path) for path in gallery.paths()])  # noqa: PTH120
    rows = []
    for hit in hits:
        name = os.path.relpath(hit.path, folder) if len(folder) > 1 else hit.path
        likes = f" (and {len(hit.similar)} like it)" if hit.similar else ""
        rows.append([f"{hit.rank}", f"{hit.confidence:.0%}", escaped(name) + likes])
    terminal.print_table(["rank", "sure", f"photo in {escaped(folder)}"], rows)


@app.command()
def recognize(
    sketches: Sketches,
    k: Annotated[int, typer.Option("-k", min=1, help="How many guesses.")] = 5,
    labels: Annotated[str | None, typer.Option(help='Names to choose from: "cat,dog"; by default all known.')] = None,
    examples: Annotated[
        Path | None, typer.Option(help="A folder of pictures, a sub-folder for each name, that say what is meant.")
    ] = None,
    photo: Annotated[bool, typer.Option("--photo", help="The pictures are photos.")] = False,
    model: Model = "mini",
    as_json: Json = False,
) -> None:
    """Say what a sketch shows, without training; any labels will do, and with examples any names."""
    from ..io.images import read_image
    from ..lab.datasets.folders import by_category
    from ..models import load
    from ..tasks.inputs import read_sketch
    from ..tasks.recognition import recognize as guess

    offered = None if labels is None else [name for name in labels.split(",") if name.strip()]
    if offered == []:
        raise ValueError("--labels has no names")
    reader = read_image if photo else read_sketch
    shown = {  # those that can be read; all of them in memory would be too much
        name: [path for path, _ in _readable([*map(str, paths)], reader)]
        for name, paths in (by_category(examples) if examples else {}).items()
    }
    read = [*_readable(sketches, reader)]
    kind: Kind = "photo" if photo else "sketch"
    answers = guess(load(model), [picture for _, picture in read], offered, k, kind, shown or None)
    rows = [
        {"label": guess.label, "score": guess.score, "rank": rank, "sketch": sketch}
        for (sketch, _), guesses in zip(read, answers, strict=True)
        for rank, guess in enumerate(guesses, start=1)
    ]
    if as_json:
        return terminal.print_json(rows)
    table = [[f"{row['rank']}", f"{row['score']:.3f}", escaped(row["label"]), escaped(row["sketch"])] for row in rows]
    terminal.print_table(["", "score", "label", "sketch"], table)


@app.command()
def features(
    images: Annotated[list[str], typer.Argument(metavar="IMAGE...", help="Pictures.")],
    out: Annotated[Path, typer.Option(help="The .safetensors file to write.")],
    task: Annotated[str, typer.Option(help="Which light weights.")] = "retrieval",
    sketch: Annotated[bool, typer.Option("--sketch", help="The pictures are sketches.")] = False,
    model: Model = "mini",
) -> None:
    """Write dense maps (N, C, h, w) and pooled features (N, d) of pictures."""
    import torch
    from safetensors.torch import save_file

    from ..io.files import atomic_write
    from ..io.images import read_image
    from ..models import load

    terminal.check_ending(".safetensors", out)
    extractor = load(model, task=task)
    kind: Kind = "sketch" if sketch else "photo"
    readable = _readable(images, partial(read_image, kind=kind))
    names, maps, vectors = [], [], []
    while some := list(islice(readable, BATCH)):
        pictures = [picture for _, picture in some]
        names += [name for name, _ in some]
        maps += extractor.extract(pictures, kind)
        vectors.append(extractor.embed(pictures, kind))
    metadata = {"model": extractor.name, "fingerprint": extractor.fingerprint, "images": json.dumps(names)}
    metadata["frames"] = json.dumps([asdict(one.frame) for one in maps])
    with atomic_write(out) as draft:
        save_file({"maps": torch.stack([one.data for one in maps]), "vectors": torch.cat(vectors)}, draft, metadata)
    typer.echo(f"{out}: maps {tuple(maps[0].data.shape)} and vectors of {len(names)} pictures")


def _readable(sources: Sequence[str], read: "Callable[[str], Tensor]") -> "Iterator[tuple[str, Tensor]]":
    """Read one picture after another; in the end those that cannot be read get a line each. ImageError if none can."""
    failed = []
    for source in sources:
        try:
            picture = read(source)
        except ImageError as error:
            failed.append(str(error))
        else:
            yield source, picture
    if len(failed) == len(sources):
        raise ImageError(failed[0] if len(failed) == 1 else f"none of the {len(failed)} can be read; {failed[0]}")
    for reason in failed:
        typer.echo(f"  {escaped(reason)}", err=True)
