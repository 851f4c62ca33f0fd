"""The house rules: what the tree promises, what may be imported, what must never be needed."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "src" / "sketchfusion"
MODULES = sorted(path.relative_to(PACKAGE) for path in PACKAGE.rglob("*.py"))


def test_the_readme_tree_captions_every_module_and_no_other() -> None:
    """Each line of the tree block is `path  caption`; `__init__.py` of folders is the folder's own line."""
    block = re.search(r"```text\nsrc/sketchfusion/\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    assert block, "README.md has no tree"
    listed: dict[str, str] = {}
    folders: list[str] = []
    for line in block.group(1).splitlines():
        indent, name, caption = re.match(r"( *)(\S+) *(.*)", line).groups()  # type: ignore[union-attr]
        del folders[len(indent) // 2 - 1 :]
        path = "/".join([*folders, name.rstrip("/")])
        if name.endswith("/"):
            folders.append(name.rstrip("/"))
        assert caption, f"{path} has no caption"
        listed[path] = caption
    modules = {str(m) for m in MODULES if m.name != "__init__.py"} | {"__init__.py"}
    packages = {str(m.parent) for m in MODULES if m.name == "__init__.py" and m.parent != Path()}
    assert {p for p in listed if p.endswith(".py")} == modules
    assert packages <= set(listed)


def test_no_junk_drawers() -> None:
    assert not [m for m in MODULES if m.stem in {"utils", "util", "helpers", "helper", "common", "misc"}]


def test_files_stay_small() -> None:
    long = {str(m): n for m in MODULES if (n := len((PACKAGE / m).read_text().splitlines())) > 270}
    assert not long


@pytest.mark.parametrize("command", ["import sketchfusion", "import sketchfusion.cli"])
def test_importing_the_package_loads_no_model_library(command: str) -> None:
    heavy = "{'torch', 'diffusers', 'transformers', 'lancedb', 'numpy'}"
    code = f"import sys; {command}; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_torchvision_is_neither_installed_nor_asked_for() -> None:
    assert importlib.util.find_spec("torchvision") is None
    assert not [m for m in MODULES if "import torchvision" in (PACKAGE / m).read_text()]
    assert "torchvision" not in (ROOT / "pyproject.toml").read_text()


def test_the_face_has_at_most_ten_names() -> None:
    import sketchfusion

    assert 0 < len(sketchfusion.__all__) <= 10
    for name in sketchfusion.__all__:
        assert getattr(sketchfusion, name) is not None


def test_the_library_prints_nothing() -> None:
    printing = [m for m in MODULES if re.search(r"(?<![\w.])print\(", (PACKAGE / m).read_text())]
    assert not printing
