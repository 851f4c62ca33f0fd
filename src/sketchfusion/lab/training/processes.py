"""Several processes that train one model: started by torchrun, each takes its own share of every step's batch."""

from __future__ import annotations

import atexit
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from functools import cache
from typing import Any, TypeVar

import torch
from torch import Tensor

LONGEST_WAIT = timedelta(days=2)  # others wait while the first one fills the cache
T = TypeVar("T")


class Processes:
    """All processes of a run, as one of them sees them; alone, it has nothing to agree on."""

    rank, count = 0, 1

    @property
    def first(self) -> bool:
        """Whether this is the process that writes files and reports."""
        return self.rank == 0

    def mean(self, tensors: Sequence[Tensor]) -> None:
        """Replace tensors, in place, by their means over all processes."""

    def said(self, value: T) -> T:
        """Give what the first process gives here."""
        return value

    @contextmanager
    def first_before_others(self) -> Iterator[None]:
        """Let the first process run a block, which may fill a cache, before the others find it filled.

        If it fails there, the others do not begin: ValueError with the same line.
        """
        yield


class _Several(Processes):
    def __init__(self, accelerator: Any) -> None:
        self._accelerator = accelerator
        self.rank, self.count = accelerator.process_index, accelerator.num_processes

    def mean(self, tensors: Sequence[Tensor]) -> None:
        flat = torch.cat([tensor.detach().flatten().float() for tensor in tensors]).to(self._accelerator.device)
        shared = self._accelerator.reduce(flat, "mean").split([tensor.numel() for tensor in tensors])
        for tensor, value in zip(tensors, shared, strict=True):
            tensor.copy_(value.view_as(tensor))

    def said(self, value: T) -> T:
        from accelerate.utils import broadcast_object_list

        box: list[T] = [value]
        broadcast_object_list(box)
        return box[0]

    @contextmanager
    def first_before_others(self) -> Iterator[None]:
        if self.first:
            try:
                yield
            except Exception as error:
                self.said(str(error) or type(error).__name__)
                raise
        if wrong := self.said(""):
            raise ValueError(wrong)
        if not self.first:
            yield


@cache
def processes() -> Processes:
    """Give the processes of this run, which torchrun tells of by its environment; ValueError without accelerate."""
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        return Processes()
    try:
        from accelerate import Accelerator
        from accelerate.utils import InitProcessGroupKwargs
    except ImportError:
        raise ValueError('several processes need accelerate: pip install "sketchfusion[train]"') from None
    # A thread of gloo's lets go of the last tensors that were exchanged when it finds Python idle; where Python has
    # left before, the thread aborts the process. To destroy the group at exit does not wait for it: it aborted still.
    atexit.register(time.sleep, 0.2)
    waiting = InitProcessGroupKwargs(timeout=LONGEST_WAIT)
    return _Several(Accelerator(cpu=not torch.cuda.is_available(), kwargs_handlers=[waiting]))
