"""The command line: one function for each command. Models are imported only by the commands that run them."""

from __future__ import annotations

import contextlib
import gc
import os
import sys
from typing import Any

from . import answers, bench, everyday, galleries, look, measure, research, studio, tables, terminal
from .memory import keep_memory
from .options import app

# The model libraries import these where they are installed; nothing here uses them.
UNUSED = ("scipy", "sklearn", "jinja2")
SEVERAL = ("--photos", "--sketches", "--data", "--categories", "--set")  # options that take several values

__all__ = [
    "SEVERAL",
    "answers",
    "app",
    "bench",
    "everyday",
    "galleries",
    "look",
    "main",
    "measure",
    "research",
    "studio",
    "tables",
]


def main() -> None:
    """Run the command line and exit.

    A third of a cold search would be spent on collecting garbage while the libraries are imported, on imports that
    serve nothing, and on tearing everything down at the end.
    """
    gc.set_threshold(100_000, 50, 100)
    keep_memory()
    absent: dict[str, Any] = dict.fromkeys(UNUSED)
    sys.modules.update(absent)
    code = terminal.run(app, terminal.spread(sys.argv[1:] or ["--help"], SEVERAL))
    with contextlib.suppress(BrokenPipeError):
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(code)
