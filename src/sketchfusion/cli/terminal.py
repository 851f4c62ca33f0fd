"""What all commands share: the application, its options, output, progress bars and one-line errors."""

import ctypes
import difflib
import json
import re
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

if TYPE_CHECKING:
    from rich.progress import Progress, ProgressColumn

# The commands by who needs them, in the order of use.
GROUPS = {
    "Find photos": ("studio", "index", "search", "recognize"),
    "Look closer": ("segment", "match", "inspect", "features"),
    "Keep a gallery": ("reindex", "doctor"),
    "Research": ("train", "evaluate", "table", "bench", "world", "pretrain", "convert"),
}


class Commands(TyperGroup):
    """All commands, in the groups and the order of `GROUPS`."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Give their names as --help shows them."""
        there = {name: group for group, names in GROUPS.items() for name in names if name in self.commands}
        for name, group in there.items():
            self.commands[name].rich_help_panel = group  # type: ignore[attr-defined]
        return [*there]


app = typer.Typer(cls=Commands, no_args_is_help=True, pretty_exceptions_enable=False, add_completion=False)

# Options that mean the same in several commands.
GalleryOption = Annotated[
    str | None, typer.Option("--gallery", "-g", help="Folder or URI (s3://..) of the gallery; by default your own.")
]
ModelOption = Annotated[str, typer.Option("--model", help="Name, hub id or folder of a model.")]
OptionalModel = Annotated[str | None, typer.Option("--model", help="Model; by default the one that made the gallery.")]
Json = Annotated[bool, typer.Option("--json", help="Answer as JSON.")]
SKETCH = "Picture, SVG, .ndjson[:line], or - ."
Sketches = Annotated[list[str], typer.Argument(metavar="SKETCH...", help=SKETCH)]
MaybeSketches = Annotated[list[str] | None, typer.Argument(metavar="[SKETCH...]", help=SKETCH)]
RECIPE = "mini (two CPU cores), full (whole data sets on a GPU) or paper (the paper's losses and data)."
Data = Annotated[list[str], typer.Option("--data", help='"world", or folders of data.')]

INTERRUPTED, WRONG = 130, 2  # exit codes
STOPPED = "interrupted; finished work is kept"
# Typer brings its own copy of click since 0.26, so the class has no public name.
UsageError: type[Exception] = typer.BadParameter.__mro__[1]

FIRST_LINE, NEXT_LINE = 1.0, 10.0  # seconds of progress without a terminal

TRIM_THRESHOLD, TOP_PAD, MMAP_MAX = -1, -2, -4  # options of mallopt(3)


def _print_version(wanted: bool) -> None:
    if wanted:
        from .. import __version__

        typer.echo(f"sketchfusion {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_print_version, help="Show the version and exit.")
    ] = False,
) -> None:
    """Find photos by drawing. To begin: sketchfusion studio FOLDER."""


def default_gallery() -> str:
    """Give the folder of the user's own gallery; it need not exist yet."""
    from platformdirs import user_data_path

    return str(user_data_path("sketchfusion", appauthor=False) / "gallery")


def existing_gallery(gallery: str | None) -> str:
    """Give the gallery named, or the user's own; ValueError if there is no such folder."""
    uri = gallery or default_gallery()
    if "://" in uri or Path(uri).exists():
        return uri
    if gallery is None:
        raise ValueError("you have no gallery yet; make one of your photos: sketchfusion index FOLDER")
    near = difflib.get_close_matches(Path(uri).name, [path.name for path in Path(uri).absolute().parent.glob("*/")])
    meant = f"; did you mean {Path(uri).with_name(near[0])}?" if near else ""
    raise ValueError(f"no gallery at {uri}{meant or f'; make one: sketchfusion index PHOTOS --gallery {uri}'}")


def run(app: typer.Typer, arguments: Sequence[str]) -> int:
    """Run a command line and give its exit code; an error of the user's is printed as one line, without a traceback."""
    # A warning is one line too, without its place in the code.
    warnings.showwarning = lambda message, *_, **__: typer.echo(f"  {message}", err=True)
    try:
        code = int(app(list(arguments), standalone_mode=False, prog_name="sketchfusion") or 0)
        # Newer versions of typer turn Ctrl-C into this code, older ones raise Abort.
        return print_error(STOPPED, code) if code == INTERRUPTED else code
    except UsageError as error:
        context: Any = getattr(error, "ctx", None)
        command = context.command_path if context else "sketchfusion"
        return print_error(f"{error.format_message()} ({command} --help says how)")  # type: ignore[attr-defined]
    except (KeyboardInterrupt, typer.Abort):
        return print_error(STOPPED, INTERRUPTED)
    except SystemExit:  # typer's way to say that the reader of the output has stopped, as `head` does
        return 0
    except (ValueError, OSError) as error:
        reason = str(error) or type(error).__name__
        if isinstance(error, OSError) and error.strerror:
            reason = f"{error.filename}: {error.strerror}" if error.filename else error.strerror
        return print_error(reason)
    except RuntimeError as error:
        if type(error).__name__ != "OutOfMemoryError":  # torch's, which is not imported for this
            raise
        return print_error("the card's memory is full; take smaller pictures or batches, or a card with more memory")


def print_error(message: str, code: int = WRONG) -> int:
    """Print one line on standard error; return the exit code."""
    typer.echo(f"sketchfusion: {' '.join(message.split())}", err=True)
    return code


def repeat_options(arguments: Sequence[str], options: Sequence[str]) -> list[str]:
    """Let an option take several values: `--data A B` becomes `--data A --data B`, but for a table, of one data set."""
    options = [name for name in options if (name, *arguments[:1]) != ("--data", "table")]
    out: list[str] = []
    current = ""
    for argument in arguments:
        if argument.startswith("-") and argument != "-":
            current = argument if argument in options else ""
            out += [] if current else [argument]
        else:
            out += [current, argument] if current else [argument]
    return out


def with_home(argument: str) -> str:
    """Put the home folder for a ~ that shells leave: after an equals sign, as in --gallery=~/g, and in quotes."""
    return re.sub(r"^(--[\w-]+=)?~(?=[/\\]|$)", lambda found: (found[1] or "") + str(Path.home()), argument)


def check_ending(suffix: str, *written: Path | None) -> None:
    """Refuse to write files of other names: in `--out *.jpg` the shell names the first photo."""
    if wrong := [path for path in written if path and path.suffix.lower() != suffix]:
        raise ValueError(f"{wrong[0]}: the name of the file to write must end in {suffix}")


def print_json(answer: Any, one_of_many: bool = False) -> None:
    """Print an answer as JSON; one of many in one line, at once."""
    ascii_only = not (sys.stdout.encoding or "utf-8").lower().startswith("utf")
    typer.echo(json.dumps(answer, indent=None if one_of_many else 2, ensure_ascii=ascii_only))
    sys.stdout.flush()


def print_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print rows as a table, never cut, however narrow the terminal; into a file or a pipe as lines with tabs."""
    if not sys.stdout.isatty():
        typer.echo("\n".join("\t".join(row) for row in rows))
        return
    from rich.cells import cell_len, set_cell_size

    widths = [max(map(cell_len, column)) for column in zip(columns, *rows, strict=True)]
    for row in (columns, *rows):
        cells = (set_cell_size(cell, width) for cell, width in zip(row, widths, strict=True))
        typer.secho("  ".join(cells).rstrip(), bold=row is columns or None)


@contextmanager
def progress_bar(what: str) -> Iterator[Callable[[int, int], None]]:
    """Show progress, rate and time left, as lines where there is no terminal; yield what takes (done, total)."""
    from rich.progress import TextColumn

    began, told = 0.0, 0.0
    with _progress(TextColumn("{task.fields[pace]}"), transient=True) as progress:
        task = progress.add_task(f"{what}: loading the model", total=None, pace="")

        def update(done: int, total: int) -> None:
            nonlocal began, told
            now = time.monotonic()
            if not began:
                began, told = now, now - NEXT_LINE + FIRST_LINE
            rate = done / max(now - began, 1e-3)
            pace = f"{rate:.1f}/s, {duration((total - done) / rate)} left" if done else ""
            progress.update(task, completed=done, total=total, description=what, pace=pace)
            if done < total and now - told >= NEXT_LINE and not progress.console.is_terminal:
                told = now
                typer.echo(f"{what}: {done} of {total}{', ' if pace else ''}{pace}", err=True)

        yield update


def duration(seconds: float) -> str:
    """Say a time in words."""
    minutes, hours = seconds / 60, seconds / 3600
    return f"{hours:.1f} h" if hours >= 1 else f"{minutes:.0f} min" if minutes >= 2 else f"{seconds:.0f} s"


@contextmanager
def loss_bar(what: str) -> Iterator[Callable[[int, int, dict[str, float]], None]]:
    """Show a progress bar for training with the newest losses; yield what to call with (done, total, losses)."""
    with _progress() as progress:
        task = progress.add_task(what, total=None)

        def update(done: int, total: int, losses: dict[str, float]) -> None:
            figures = " ".join(f"{name} {value:.3f}" for name, value in losses.items())
            progress.update(task, completed=done, total=total, description=f"{what} {figures}".strip())

        yield update


def _progress(*columns: "ProgressColumn", transient: bool = False) -> "Progress":
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    first = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    last = columns or (TimeRemainingColumn(),)
    console = Console(stderr=True, highlight=False)
    nothing = transient and not console.is_terminal  # it would leave an empty line
    return Progress(*first, *last, console=console, transient=transient, disable=nothing)


def keep_memory() -> None:
    """Let the process keep freed memory where the C library is glibc: the next batch uses it again.

    By default glibc returns every block of some MiB to the system, which clears each page before it gives it again:
    a third of the time of a batch of 32 photos, and of a step of training at full size.
    """
    if not sys.platform.startswith("linux"):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt:  # missing in musl
        mallopt(MMAP_MAX, 0)
        mallopt(TRIM_THRESHOLD, -1)  # never
        mallopt(TOP_PAD, 64 << 20)  # bytes
