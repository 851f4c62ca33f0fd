"""Commands for someone who keeps a gallery: index, reindex, and what doctor says of one."""

from __future__ import annotations

import signal
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import quote

import typer

from . import terminal
from .terminal import GalleryOption, Json, OptionalModel, app

if TYPE_CHECKING:
    from ..extractor import Extractor
    from ..gallery import Gallery, Plan, Report


Photos = Annotated[list[str], typer.Argument(metavar="PHOTOS...", help="Folders and files.")]
BatchSize = Annotated[int, typer.Option(min=1, help="Photos at a time.")]


@app.command()
def index(
    photos: Photos,
    gallery: GalleryOption,
    model: OptionalModel = None,
    batch_size: BatchSize = 16,
    no_location: Annotated[bool, typer.Option("--no-location", help="Leave out where photos were taken.")] = False,
    prune: Annotated[bool, typer.Option("--prune", help="Forget photos gone from these folders.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be done, and how long.")] = False,
    watch: Annotated[bool, typer.Option("--watch", help="Keep following the folders until Ctrl-C.")] = False,
    engine: Annotated[str, typer.Option(help="Who embeds: local, this machine; ray, a cluster.")] = "local",
    workers: Annotated[int, typer.Option(min=1, help="Processes that embed.")] = 1,
    as_json: Json = False,
) -> None:
    """Put photos into a gallery; those that are in it already are not embedded again."""
    from ..gallery import Gallery

    if watch and (prune or dry_run or workers > 1):
        raise ValueError(
            "--watch forgets what goes by itself and embeds alone; leave out --prune, --dry-run, --workers"
        )
    kept = Gallery.open(gallery, model)
    if dry_run:
        plan = kept.plan(photos, prune, batch_size)
        return terminal.print_json(asdict(plan)) if as_json else typer.echo(_planned(plan))
    if watch:
        return _follow(kept, photos, batch_size, not no_location, as_json)
    with terminal.progress_bar("indexing") as progress:
        report = kept.add(
            photos,
            progress,
            batch_size,
            location=not no_location,
            workers=workers,
            engine=engine,
        )
    report.removed = kept.prune(photos) if prune else 0
    if report.failed and not len(kept):
        first = report.failed[0]
        raise ValueError(f"none of the {len(report.failed)} files can be read; {first.path}: {first.reason}")
    _say(kept, report, as_json)


@app.command()
def reindex(
    gallery: GalleryOption,
    model: Annotated[str, typer.Option(help="The model to move to.")],
    batch_size: BatchSize = 16,
    as_json: Json = False,
) -> None:
    """Move a gallery to other weights; interrupted, the same command goes on, and till the end the old ones answer."""
    from ..gallery import Gallery

    kept = Gallery.open(gallery)
    with terminal.progress_bar("reindexing") as progress:
        report = kept.reindex(model, progress, batch_size)
    _say(kept, report, as_json)


def check(gallery: str, repair: bool, as_json: bool) -> None:
    """Say what is damaged in a gallery; ValueError, and so exit code 2, if something is and stays so."""
    from ..gallery import Gallery
    from ..gallery.maintain import check_readable

    check_readable(gallery)
    kept = Gallery.open(gallery)
    mended = kept.repair() if repair else None
    damage = kept.verify()
    if as_json:
        terminal.print_json({"photos": len(kept), "damage": damage, "repaired": asdict(mended) if mended else None})
    else:
        for line in damage:
            typer.echo(line)
        if mended:
            typer.echo(f"{mended.embedded} photos embedded again, {len(mended.failed)} lost")
            _list_failures(mended)
        if not damage:
            typer.echo(f"{len(kept)} photos in {gallery}: all as written")
    if damage:
        raise ValueError(
            f"gallery {gallery} is damaged in {len(damage)} places; --repair embeds those photos again from their files"
        )


def _follow(kept: Gallery, photos: Sequence[str], batch_size: int, location: bool, as_json: bool) -> None:
    """Say each batch of changes in a line, until Ctrl-C or SIGTERM."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        for report in kept.watch(photos, batch_size=batch_size, location=location):
            if as_json:
                terminal.print_json_line(_as_json(kept, report))
            else:
                typer.echo(_summary(kept, report))
                _list_failures(report)
    except KeyboardInterrupt:
        typer.echo("stopped; all that was finished is kept", err=True)


def _say(kept: Gallery, report: Report, as_json: bool) -> None:
    if as_json:
        terminal.print_json(_as_json(kept, report))
    else:
        typer.echo(_summary(kept, report))
        _list_failures(report)


def _as_json(kept: Gallery, report: Report) -> dict[str, Any]:
    return {**asdict(report), "photos": len(kept)}


def _summary(kept: Gallery, report: Report) -> str:
    more = f", {report.from_thumbnail} from their thumbnails" if report.from_thumbnail else ""
    return (
        f"{len(kept)} photos in {kept.uri}: {report.embedded} embedded, {report.reused} known by content, "
        f"{report.unchanged} unchanged, {report.moved} moved, {report.removed} removed, "
        f"{len(report.failed)} failed{more}"
    )


def _list_failures(report: Report) -> None:
    for failure in report.failed:
        typer.echo(f"  {failure.path}: {failure.reason}", err=True)


def _planned(plan: Plan) -> str:
    ignored = ", ".join(f"{count} {suffix or 'without suffix'}" for suffix, count in plan.ignored.items())
    lines = [
        *(f"  add      {path}" for path in plan.to_add),
        *(f"  change   {path}" for path in plan.changed),
        *(f"  move     {path}" for path in plan.moved),
        *(f"  copy     {path}" for path in plan.copied),
        *(f"  remove   {path}" for path in plan.to_remove),
        *(f"  unreadable {path}" for path in plan.unreadable),
    ]
    return "\n".join(
        [
            f"{len(plan.to_add)} to add, {len(plan.changed)} changed, {len(plan.moved)} moved, "
            f"{len(plan.copied)} copied, {plan.unchanged} unchanged, {len(plan.to_remove)} to remove, "
            f"about {plan.seconds:.0f} s; nothing was written",
            *lines,
            *([f"  no pictures: {ignored}"] if ignored else []),
        ]
    )


# The command that opens the studio.


@app.command()
def studio(
    gallery: Annotated[
        str | None, typer.Option("--gallery", "-g", help="Folder or URI of the gallery; without it a demo.")
    ] = None,
    host: Annotated[
        str, typer.Option(help="Address to listen on; beyond this machine a token is needed.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one.")] = 8000,
    token: Annotated[str | None, typer.Option(envvar="SKETCHFUSION_TOKEN", help="Ask everyone for this token.")] = None,
    model: OptionalModel = None,
    open_page: Annotated[bool, typer.Option("--open", help="Open the page in a browser.")] = False,
) -> None:
    """Draw in a browser and see the photos that show it."""
    from ..studio.protection import Access
    from ..studio.server import listen, serve
    from ..studio.studio import Studio
    from ..studio.uploads import upload_folder

    access = Access(host, token)
    taken = listen(host, port)
    made: Extractor | str | None = model
    uri = gallery
    if uri is None:
        uri, made = _demo(model or "mini")
    opened = Studio(uri, upload_folder(uri), made, demo=gallery is None)

    def started(address: str) -> None:
        link = f"{address}?token={quote(token)}" if token else address
        typer.echo(f"{link} (Ctrl-C stops)")
        if open_page:
            typer.launch(link)

    serve(opened, access, taken, started)
    typer.echo("stopped", err=True)


def _demo(model: str) -> tuple[str, Extractor]:
    from ..models import load
    from ..studio import demo

    folder: Path = demo.demo_folder()
    loaded = load(model)
    if not demo.is_ready(folder, loaded.fingerprint):
        with terminal.progress_bar("drawing the demo's photos") as progress:
            demo.make_photos(folder, progress)
    with terminal.progress_bar("indexing the demo") as progress:
        return demo.make_gallery(folder, loaded, progress), loaded
