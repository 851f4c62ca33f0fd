"""A command keeps the memory that a batch gives back."""

from __future__ import annotations

import subprocess
import sys

import pytest

KEPT = """
import ctypes
from pathlib import Path
from sketchfusion.cli.terminal import keep_memory
if {asked}:
    keep_memory()
libc = ctypes.CDLL(None)
libc.malloc.restype, libc.malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
libc.free.argtypes = [ctypes.c_void_p]
def faults():
    return int(Path("/proc/self/stat").read_text().rsplit(")", 1)[1].split()[7])  # pages got from the system
def use():
    block = libc.malloc(64 << 20)
    ctypes.memset(block, 1, 64 << 20)
    libc.free(block)
use()
before = faults()
use()
print(faults() - before)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="it is glibc that is told")
def test_what_is_given_back_is_not_cleared_again() -> None:
    default, kept = (
        int(subprocess.run([sys.executable, "-c", KEPT.format(asked=asked)], capture_output=True, text=True).stdout)
        for asked in (False, True)
    )
    assert default > 10_000 > 100 * kept  # of 16,384 pages
