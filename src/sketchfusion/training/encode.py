"""The frozen models asked once: banks of pictures in, caches of what a method keeps of them out."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .bank import Bank
from .cache import Cache, cached, joined
from .loop import Report
from .methods.base import Method


@dataclass(frozen=True)
class Encoder:
    """What a method asks of pictures, and the folder that keeps the answers."""

    method: Method[Any]
    folder: Path
    report: Report | None = None

    @property
    def side(self) -> int:
        """Pixels of the full square."""
        return int(self.method.model.side)

    @property
    def width(self) -> int:
        """Channels of the maps that are made of the answers."""
        return self.method.width

    def __call__(self, banks: list[Bank], side: int, views: int = 1) -> Cache:
        """Give the answers about the pictures of all banks, seen at `side` pixels."""
        return joined([self._one(bank, side, views) for bank in banks if len(bank)])

    def _one(self, bank: Bank, side: int, views: int) -> Cache:
        def progress(done: int, total: int) -> None:
            if self.report:
                self.report(done, total, {})

        bank = bank.on(self.method.model.device)
        said = [
            cached(bank, ask, asked, side, views, self.folder, progress) for asked, ask in self.method.asks().items()
        ]
        return Cache(tuple(said), bank.names)
