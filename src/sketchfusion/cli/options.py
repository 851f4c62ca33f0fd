"""What several commands share: the application and the options that mean the same everywhere."""

from __future__ import annotations

from typing import Annotated

import typer

app = typer.Typer(
    help="Find photos by drawing.", no_args_is_help=True, pretty_exceptions_enable=False, add_completion=False
)

GalleryOption = Annotated[str, typer.Option("--gallery", "-g", help="Folder or URI (s3://..) of the gallery.")]
ModelOption = Annotated[str, typer.Option("--model", help="Name, hub id or folder of a model.")]
AskedModel = Annotated[str | None, typer.Option("--model", help="Model; by default the one that made the gallery.")]
Json = Annotated[bool, typer.Option("--json", help="Answer as JSON.")]
Sketches = Annotated[list[str], typer.Argument(metavar="SKETCH...", help="Picture, SVG, .ndjson[:line], or - .")]
MaybeSketches = Annotated[
    list[str] | None, typer.Argument(metavar="[SKETCH...]", help="Picture, SVG, .ndjson[:line], or - .")
]
Data = Annotated[list[str], typer.Option("--data", help='"world", or folders of data.')]
