"""The command that opens the studio."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from urllib.parse import quote

import typer

from . import terminal
from .options import AskedModel, app

if TYPE_CHECKING:
    from ..extractor import BatchExtractor


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
    model: AskedModel = None,
    open_page: Annotated[bool, typer.Option("--open", help="Open the page in a browser.")] = False,
) -> None:
    """Draw in a browser and see the photos that show it."""
    from ..studio.protection import Access
    from ..studio.server import listen, serve
    from ..studio.studio import Studio
    from ..studio.uploads import folder_for

    access = Access(host, token)
    taken = listen(host, port)
    made: BatchExtractor | str | None = model
    uri = gallery
    if uri is None:
        uri, made = _demo(model or "mini")
    opened = Studio(uri, folder_for(uri), made, demo=gallery is None)

    def started(address: str) -> None:
        link = f"{address}?token={quote(token)}" if token else address
        typer.echo(f"{link} (Ctrl-C stops)")
        if open_page:
            typer.launch(link)

    serve(opened, access, taken, started)
    typer.echo("stopped", err=True)


def _demo(model: str) -> tuple[str, BatchExtractor]:
    from ..models import load
    from ..studio import demo

    folder: Path = demo.demo_folder()
    loaded = load(model)
    if not demo.is_ready(folder, loaded.fingerprint):
        with terminal.bar("drawing the demo's photos") as progress:
            demo.make_photos(folder, progress)
    with terminal.bar("indexing the demo") as progress:
        return demo.make_gallery(folder, loaded, progress), loaded
