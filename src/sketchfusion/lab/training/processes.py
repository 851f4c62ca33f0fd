"""Several processes that train one model: started by torchrun, each takes its share of the batches of a step."""

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

LONGEST_WAIT = timedelta(days=2)  # the others wait while the first process fills the cache
T = TypeVar("T")


class Processes:
    """The processes of a run, of which this is number `rank`; without an accelerator there is only this one."""

    def __init__(self, accelerator: Any = None) -> None:
        self._accelerator = accelerator
        self.rank: int = accelerator.process_index if accelerator else 0
        self.count: int = accelerator.num_processes if accelerator else 1
        self.first = self.rank == 0  # the one that writes files and reports progress

    def mean(self, tensors: Sequence[Tensor]) -> None:
        """Replace tensors, in place, by their means over all processes; they may lie on several devices."""
        if self._accelerator:
            device = self._accelerator.device
            flat = torch.cat([tensor.detach().flatten().to(device, torch.float32) for tensor in tensors])
            shared = self._accelerator.reduce(flat, "mean").split([tensor.numel() for tensor in tensors])
            for tensor, value in zip(tensors, shared, strict=True):
                tensor.copy_(value.view_as(tensor))

    def broadcast(self, value: T) -> T:
        """Return the value that the first process passes."""
        values: list[T] = [value]
        if self._accelerator:
            from accelerate.utils import broadcast_object_list

            broadcast_object_list(values)
        return values[0]

    @contextmanager
    def rank0_first(self) -> Iterator[None]:
        """Run a block in the first process, then, with its cache filled, in the others; ValueError if it failed."""
        if self.first:
            try:
                yield
            except Exception as error:
                self.broadcast(str(error) or type(error).__name__)
                raise
        if failure := self.broadcast(""):
            raise ValueError(failure)
        if not self.first:
            yield


def one_process() -> None:
    """Raise ValueError under torchrun: what follows would be done by every process, with the same files."""
    if processes().count > 1:
        raise ValueError("this training runs in one process: start it without torchrun")


@cache
def processes() -> Processes:
    """Return this run's processes, from torchrun's environment variables; ValueError if accelerate is not installed."""
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        return Processes()
    try:
        from accelerate import Accelerator
        from accelerate.utils import InitProcessGroupKwargs
    except ImportError:
        raise ValueError('several processes need accelerate: pip install "sketchfusion[train]"') from None
    # A gloo thread frees the last tensors exchanged when it next gets the interpreter lock; if Python has exited by
    # then, the thread aborts the process. Destroying the group at exit does not wait for that thread.
    atexit.register(time.sleep, 0.2)
    waiting = InitProcessGroupKwargs(timeout=LONGEST_WAIT)
    return Processes(Accelerator(cpu=not torch.cuda.is_available(), kwargs_handlers=[waiting]))
