"""The command line: one function for each command. Models are imported only by the commands that run them."""

import contextlib
import gc
import io
import os
import sys
from typing import Any

from . import evaluate, gallery, photo, search, table, terminal, train  # noqa: F401  (importing them adds their commands)
from .terminal import app, keep_memory

SEVERAL = ("--photos", "--sketches", "--data", "--categories", "--set")  # options that take several values


class UnfailingOutput(io.FileIO):
    """A file whose errors of writing are ignored: work goes on although nobody reads standard error."""

    def write(self, data: Any) -> int:
        try:
            return super().write(data)
        except OSError:
            return len(data)


def main() -> None:
    """Run the command line and exit.

    Garbage is collected rarely and the process ends without cleaning up: otherwise a cold search spends much of its
    time on both, while the libraries are imported and at the end.
    """
    gc.set_threshold(100_000, 50, 100)
    keep_memory()
    for name in ("stdin", "stdout", "stderr"):  # one may be closed, as by `>&-`
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "r" if name == "stdin" else "w"))  # noqa: PTH123, SIM115
    if isinstance(sys.stdout, io.TextIOWrapper):  # a name that the output's encoding lacks is no reason to fail
        sys.stdout.reconfigure(errors="backslashreplace")
    beneath = sys.stderr  # kept alive: when it is collected, its file is closed
    if isinstance(beneath, io.TextIOWrapper):
        unfailing = UnfailingOutput(beneath.fileno(), "w", closefd=False)
        sys.stderr = io.TextIOWrapper(unfailing, beneath.encoding, "backslashreplace", write_through=True)
    arguments = [terminal.with_home(argument) for argument in sys.argv[1:]]
    code = terminal.run(app, terminal.repeat_options(arguments or ["--help"], SEVERAL))
    with contextlib.suppress(OSError):
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(code)
