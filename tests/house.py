"""Counts the house: files, lines, and who imports whom between rooms. `python tests/house.py` prints them.

A room is a folder of the package, or a module that lies beside the folders. An arrow leads from a room to another
that it imports, wherever the import stands. An arrow is a back arrow where it leads up the order of `FLOORS`.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

PACKAGE = Path(__file__).parent.parent / "src" / "sketchfusion"
MOST_FILES, MOST_LINES, LONGEST_FILE, LONGEST_FUNCTION, MOST_ARROWS = 144, 27_728, 500, 60, 95


@dataclass(frozen=True)
class House:
    """What was counted; lengths in lines."""

    files: dict[str, int]  # length by path
    functions: dict[str, int]  # length by path:name
    arrows: set[tuple[str, str]]  # importing room, imported room

    @property
    def circles(self) -> set[str]:
        """Rooms that import themselves through others."""
        reached = {room: {to for start, to in self.arrows if start == room} for arrow in self.arrows for room in arrow}
        grown = True
        while grown:
            grown = False
            for room, known in reached.items():
                more = known.union(*(reached[other] for other in known))
                grown |= more != known
                reached[room] = more
        return {room for room, known in reached.items() if room in known}

    def line(self) -> str:
        """One line for people."""
        longest = max(self.files, key=lambda path: self.files[path])
        function = max(self.functions, key=lambda name: self.functions[name])
        rooms = {room for arrow in self.arrows for room in arrow}
        return (
            f"the house: {len(self.files)} files, {sum(self.files.values())} lines, longest file {longest} "
            f"({self.files[longest]}), longest function {function} ({self.functions[function]}), {len(rooms)} rooms, "
            f"{len(self.arrows)} arrows, {len(self.circles)} rooms in circles"
        )


def room_of(module: str) -> str:
    """The room of a module such as "gallery.store" or "lab.training.pretrain.dino"."""
    parts = module.split(".")
    if parts[0] == "lab" and len(parts) > 1:
        return ".".join(parts[:2])
    return parts[0]


def imported(tree: ast.Module, module: str, package: bool, modules: set[str]) -> Iterator[str]:
    """Modules of ours that a module imports, at its top or within functions."""
    base = module.split(".") if module else []
    base = base if package else base[:-1]
    for node in ast.walk(tree):
        if not isinstance(node, ast.ImportFrom) or (
            not node.level and not (node.module or "").startswith("sketchfusion")
        ):
            continue
        start = base[: len(base) - node.level + 1] if node.level else []
        stem = node.module or "" if node.level else (node.module or "").removeprefix("sketchfusion").lstrip(".")
        target = ".".join([*start, *filter(None, stem.split("."))])
        for alias in node.names:
            full = f"{target}.{alias.name}".strip(".")
            yield full if full in modules else target


def count() -> House:
    """Read the package's sources."""
    paths = sorted(PACKAGE.rglob("*.py"))
    names = {path: ".".join(path.relative_to(PACKAGE).with_suffix("").parts) for path in paths}
    names = {path: name.removesuffix("__init__").rstrip(".") for path, name in names.items()}
    modules = set(names.values())
    files, functions, arrows = {}, {}, set()
    for path, name in names.items():
        text = path.read_text(encoding="utf-8")
        tree = ast.parse(text)
        where = str(path.relative_to(PACKAGE))
        files[where] = len(text.splitlines())
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                functions[f"{where}:{node.name}"] = (node.end_lineno or node.lineno) - node.lineno + 1
        if not name:
            continue  # the face names every room
        for other in imported(tree, name, path.name == "__init__.py", modules):
            if other and room_of(other) != room_of(name):
                arrows.add((room_of(name), room_of(other)))
    return House(files, functions, arrows)


if __name__ == "__main__":
    sys.stdout.write(f"{count().line()}\n")
