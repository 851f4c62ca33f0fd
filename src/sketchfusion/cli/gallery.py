"""Commands for someone who keeps a gallery: index, reindex, doctor, studio."""

import contextlib
import secrets
import signal
import sys
import threading
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import escaped
from . import terminal
from .terminal import GalleryOption, Json, OptionalModel, app

if TYPE_CHECKING:
    from ..extractor import Extractor
    from ..gallery import Gallery, Plan, Report
    from ..studio.studio import Studio

Photos = Annotated[list[str], typer.Argument(metavar="PHOTOS...", help="Folders and files.")]
Exclude = Annotated[list[str] | None, typer.Option(help="Leave out files and folders by a glob; may be repeated.")]
BatchSize = Annotated[int, typer.Option(min=1, help="Photos at a time.")]
REPORT_SECONDS = 5.0  # between two lines about what is indexed


@app.command()
def index(
    photos: Photos,
    gallery: GalleryOption = None,
    model: OptionalModel = None,
    batch_size: BatchSize = 16,
    no_location: Annotated[bool, typer.Option("--no-location", help="Leave out where photos were taken.")] = False,
    prune: Annotated[bool, typer.Option("--prune", help="Forget photos gone from these folders.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be done, and how long.")] = False,
    watch: Annotated[bool, typer.Option("--watch", help="Keep following the folders until Ctrl-C.")] = False,
    engine: Annotated[str, typer.Option(help="Who embeds: local, this machine; ray, a cluster.")] = "local",
    workers: Annotated[int, typer.Option(min=1, help="Processes that embed.")] = 1,
    exclude: Exclude = None,
    as_json: Json = False,
) -> None:
    """Put photos into a gallery; those that are in it already are not embedded again."""
    from ..gallery import Gallery

    if watch and (prune or dry_run or workers > 1 or engine != "local"):
        raise ValueError("--watch removes what is gone, in one process: no --prune, --dry-run, --workers, --engine")
    kept, exclude = Gallery.open(gallery or terminal.default_gallery(), model), exclude or []
    if dry_run:
        plan = kept.plan(photos, prune, batch_size, exclude=exclude)
        return terminal.print_json(asdict(plan)) if as_json else typer.echo(_planned(plan))
    if watch:
        changes = kept.watch(photos, batch_size=batch_size, location=not no_location, exclude=exclude)
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        try:
            for report in changes:
                _say(kept, report, as_json, one_of_many=True)
        except KeyboardInterrupt:
            typer.echo("stopped; all that was finished is kept", err=True)
        return
    with terminal.progress_bar("indexing") as progress:
        report = kept.add(
            photos, progress, batch_size, location=not no_location, workers=workers, engine=engine, exclude=exclude
        )
    report.removed = kept.prune(photos) if prune else 0
    if report.failed and not len(kept):
        first = f"{escaped(report.failed[0].path)}: {report.failed[0].reason}"
        raise ValueError(f"none of the {len(report.failed)} files can be read; {first}" if report.failed[1:] else first)
    _say(kept, report, as_json)


@app.command()
def reindex(
    model: Annotated[str, typer.Option(help="The model to move to.")],
    gallery: GalleryOption = None,
    batch_size: BatchSize = 16,
    as_json: Json = False,
) -> None:
    """Move a gallery to another model, which answers once all is done; interrupted, the same command goes on."""
    from ..gallery import Gallery

    kept = Gallery.open(terminal.existing_gallery(gallery))
    with terminal.progress_bar("reindexing") as progress:
        report = kept.reindex(model, progress, batch_size)
    _say(kept, report, as_json)


@app.command()
def doctor(
    gallery: Annotated[str | None, typer.Option("--gallery", "-g", help="Check this gallery instead.")] = None,
    repair: Annotated[bool, typer.Option("--repair", help="Embed the gallery's damaged photos again.")] = False,
    as_json: Json = False,
) -> None:
    """Say what is installed, which weights are here, and whether the model in the package, or a gallery, is whole."""
    if gallery is not None:
        return check(gallery, repair, as_json)
    from ..doctor import describe, examine

    found = examine()
    terminal.print_json(found) if as_json else typer.echo(describe(found))
    if not found["self_test"]["passed"]:
        raise ValueError(f"the self-test failed: {found['self_test']['reason']}")


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


def _say(kept: "Gallery", report: "Report", as_json: bool, one_of_many: bool = False) -> None:
    if as_json:
        return terminal.print_json({**asdict(report), "photos": len(kept)}, one_of_many)
    more = f", {report.from_thumbnail} from their thumbnails" if report.from_thumbnail else ""
    typer.echo(
        f"{len(kept)} photos in {kept.uri}: {report.embedded} embedded, {report.reused} known by content, "
        f"{report.unchanged} unchanged, {report.moved} moved, {report.removed} removed, "
        f"{len(report.failed)} failed{more}"
    )
    _list_failures(report)


def _list_failures(report: "Report") -> None:
    for failure in [*report.failed, *report.damaged]:
        typer.echo(f"  {escaped(failure.path)}: {failure.reason}", err=True)
    for line in report.left_out:
        typer.echo(f"  {line}", err=True)


def _planned(plan: "Plan") -> str:
    """List what would be done by folder; the sum is last, where a terminal shows it."""
    kinds = {"add": plan.to_add, "change": plan.changed, "move": plan.moved, "copy": plan.copied}
    kinds |= {"remove": plan.to_remove, "unreadable": plan.unreadable}
    counts = Counter((str(Path(path).parent), kind) for kind, paths in kinds.items() for path in paths)
    ignored = ", ".join(f"{count} {suffix or 'without suffix'}" for suffix, count in plan.ignored.items())
    return "\n".join(
        [
            *(f"  {kind:10} {counts[folder, kind]:6}  {escaped(folder)}" for folder, kind in sorted(counts)),
            *([f"  no pictures: {ignored}"] if ignored else []),
            *(f"  {line}" for line in plan.left_out),
            f"{len(plan.to_add)} to add, {len(plan.changed)} changed, {len(plan.moved)} moved, "
            f"{len(plan.copied)} copied, {plan.unchanged} unchanged, {len(plan.to_remove)} to remove, "
            f"about {terminal.duration(plan.seconds)}; nothing was written",
        ]
    )


@app.command()
def studio(
    photos: Annotated[
        list[str] | None, typer.Argument(metavar="[PHOTOS...]", help="Folders to index and follow.")
    ] = None,
    gallery: GalleryOption = None,
    demo: Annotated[bool, typer.Option("--demo", help="Show a gallery of rendered pictures instead.")] = False,
    share: Annotated[bool, typer.Option("--share", help="Let a phone in the same network draw, too.")] = False,
    host: Annotated[str, typer.Option(help="Where to listen; beyond this machine a token is needed.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one.")] = 8000,
    token: Annotated[str | None, typer.Option(envvar="SKETCHFUSION_TOKEN", help="Ask everyone for this token.")] = None,
    model: OptionalModel = None,
    open_page: Annotated[
        bool | None, typer.Option("--open/--no-open", help="Open the page in a browser; by default from a terminal.")
    ] = None,
) -> None:
    """Draw in a browser and see the photos that show it; folders named are indexed meanwhile and followed."""
    if demo and (photos or gallery):
        raise ValueError("--demo has pictures and a gallery of its own; leave out the others")
    if absent := [photo for photo in photos or [] if not Path(photo).exists()]:
        raise ValueError(f"{absent[0]}: no such file or folder; check the path")
    uri = gallery or terminal.default_gallery()
    if gallery and not photos:
        terminal.existing_gallery(gallery)
    typer.echo("starting: loading libraries", err=True)
    from ..studio.protection import Access, is_loopback
    from ..studio.server import listen, serve
    from ..studio.studio import Studio

    if share:
        host, token = "0.0.0.0" if is_loopback(host) else host, token or secrets.token_urlsafe(12)
    access = Access(host, token)
    taken = listen(host, port)
    made: Extractor | str | None = model
    if demo:
        from ..models import load
        from ..studio.demo import make_demo

        made = load(model or "mini")
        uri = make_demo(made, terminal.progress_bar)
    opened = Studio(uri, made, demo=demo)

    def started(link: str) -> None:
        typer.echo(f"{link} (Ctrl-C stops)")
        _say_address(opened.network_address(), share)
        sys.stdout.flush()
        typer.echo("loading the model; the page answers as soon as it is there", err=True)
        reporter.start()
        if sys.stdout.isatty() if open_page is None else open_page:
            typer.launch(link)

    reporter = threading.Thread(target=_report_progress, args=(opened,), daemon=True)
    if photos:
        opened.follow(photos)
    serve(opened, access, taken, started)
    opened.stopping.set()  # after a second Ctrl-C the server has not closed the studio
    reporter.join(REPORT_SECONDS)
    typer.echo("stopped", err=True)


def _say_address(address: str | None, share: bool) -> None:
    if address:
        typer.echo(f"{address} for phones and others in this network: whoever has it sees the photos")
    elif share:
        typer.echo("this machine is in no network, so no phone can reach it", err=True)
    if address and share:
        import segno

        with contextlib.suppress(UnicodeEncodeError):  # such a terminal cannot show it
            segno.make_qr(address).terminal(border=2, compact=True)


def _report_progress(studio: "Studio") -> None:
    """Say when the model is loaded, and until the studio stops what is indexed of the folders that it follows."""
    studio.queue.ready.wait()
    if studio.queue.failure or studio.stopping.is_set():
        return
    count = len(studio.gallery)
    typer.echo(f"ready: {count} photos in {studio.uri}", err=True)
    if not count and not studio.following:
        typer.echo("no photos yet: drop some on the page, or start with a folder: sketchfusion studio FOLDER", err=True)
    shown, trouble = (0, 0), None
    while state := studio.following:
        if (state.done, state.total) != shown:
            shown = state.done, state.total
            typer.echo(f"indexed {state.done} of {state.total} new photos", err=True)
        while studio.left_out:
            typer.echo(f"  {escaped(studio.left_out.pop(0))}", err=True)
        if (error := state.error) and error != trouble:
            trouble = error
            typer.echo(f"{error}; trying again until it works", err=True)
        if studio.stopping.wait(REPORT_SECONDS):
            return
