"""What the commands say: answers on standard output, progress and one-line errors on standard error."""

from __future__ import annotations

import ctypes
import json
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from rich.console import Console


INTERRUPTED, WRONG = 130, 2  # exit codes
STOPPED = "interrupted; what was finished is kept"
# Typer brings its own copy of click since 0.26, so the class is not to be had by a public name.
UsageError: type[Exception] = typer.BadParameter.__mro__[1]


def run(app: typer.Typer, arguments: Sequence[str]) -> int:
    """Run a command line; give its exit code. What a user can put right is one line, never a stack trace."""
    try:
        code = int(app(list(arguments), standalone_mode=False, prog_name="sketchfusion") or 0)
        # Newer versions of typer make this code of Ctrl-C, older ones raise Abort.
        return complain(STOPPED, code) if code == INTERRUPTED else code
    except UsageError as error:
        context: Any = getattr(error, "ctx", None)
        command = context.command_path if context else "sketchfusion"
        return complain(f"{error.format_message()} ({command} --help says how)")  # type: ignore[attr-defined]
    except (KeyboardInterrupt, typer.Abort):
        return complain(STOPPED, INTERRUPTED)
    except BrokenPipeError:  # whoever read the answer has had enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (ValueError, OSError) as error:
        return complain(_reason(error))


def _reason(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return str(error) or type(error).__name__


def complain(message: str, code: int = WRONG) -> int:
    """Say one line on standard error; give the exit code back."""
    typer.echo(f"sketchfusion: {' '.join(message.split())}", err=True)
    return code


def spread(arguments: Sequence[str], options: Sequence[str]) -> list[str]:
    """Let an option take several values: `--data A B` becomes `--data A --data B`."""
    out: list[str] = []
    current = ""
    for argument in arguments:
        if argument.startswith("-") and argument != "-":
            current = argument if argument in options else ""
            out += [] if current else [argument]
        else:
            out += [current, argument] if current else [argument]
    return out


def say(answer: Any) -> None:
    """Print an answer as JSON."""
    typer.echo(json.dumps(answer, indent=2, ensure_ascii=False))


def say_line(answer: Any) -> None:
    """Print one of many answers as JSON on a line of its own, at once."""
    typer.echo(json.dumps(answer, ensure_ascii=False))
    sys.stdout.flush()


def table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print rows as a table; into a file or a pipe as plain lines with tabs."""
    if not sys.stdout.isatty():
        typer.echo("\n".join("\t".join(row) for row in rows))
        return
    from rich.markup import escape
    from rich.table import Table

    drawn = Table(*columns, box=None, pad_edge=False)
    for row in rows:
        drawn.add_row(*map(escape, row))
    _console().print(drawn)


def _console(stderr: bool = False) -> Console:
    from rich.console import Console

    return Console(stderr=stderr, highlight=False)


@contextmanager
def bar(what: str) -> Iterator[Callable[[int, int], None]]:
    """A progress bar with rate and time left; gives what is to be called with (done, total)."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    rate = TextColumn("{task.fields[rate]}")
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), rate, TimeRemainingColumn())
    with Progress(*columns, console=_console(stderr=True), transient=True) as progress:
        task = progress.add_task(what, total=None, rate="")

        def update(done: int, total: int) -> None:
            speed = progress.tasks[0].speed
            progress.update(task, completed=done, total=total, rate=f"{speed:.1f}/s" if speed else "")

        yield update


@contextmanager
def losses(what: str) -> Iterator[Callable[[int, int, dict[str, float]], None]]:
    """A progress bar for training, which also shows the newest losses."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=_console(stderr=True)) as progress:
        task = progress.add_task(what, total=None)

        def update(done: int, total: int, newest: dict[str, float]) -> None:
            figures = " ".join(f"{name} {value:.3f}" for name, value in newest.items())
            progress.update(task, completed=done, total=total, description=f"{what} {figures}".strip())

        yield update


# Memory of a command: what one batch gives back, the next takes again.


TRIM, TOP_PAD, MMAP_MAX = -1, -2, -4  # options of mallopt(3)
NEVER, PAD = -1, 64 << 20  # bytes


def keep_memory() -> None:
    """Keep freed memory in the process, where the C library is glibc; nothing happens elsewhere.

    By default every map of some MiB is got from the system and given back each time, and the system clears each of its
    pages: a third of the time of a batch of 32 photos, and of a step of training at full size.
    """
    if not sys.platform.startswith("linux"):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt:  # not so in musl
        mallopt(MMAP_MAX, 0)
        mallopt(TRIM, NEVER)
        mallopt(TOP_PAD, PAD)


# What several commands share: the application and the options that mean the same everywhere.


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
