"""The house rules: what the tree promises, what may be imported, what must never be needed."""

from __future__ import annotations

import ast
import importlib.util
import re
from pathlib import Path

import pytest

from house import LONGEST_FILE, LONGEST_FUNCTION, MOST_ARROWS, MOST_FILES, MOST_LINES, count

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "src" / "sketchfusion"
MODULES = sorted(path.relative_to(PACKAGE) for path in PACKAGE.rglob("*.py"))
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]


def _tree() -> dict[str, str]:
    """Paths in README's folder tree, relative to the repository, with their captions."""
    block = re.search(r"```text\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    assert block, "README.md has no tree"
    listed: dict[str, str] = {}
    above: list[str] = []
    for line in block.group(1).splitlines():
        indent, name, caption = re.match(r"( *)(\S+) *(.*)", line).groups()  # type: ignore[union-attr]
        del above[len(indent) // 2 :]
        above.append(name.rstrip("/"))
        listed["/".join(above)] = caption
    return listed


def test_readme_stays_short() -> None:
    text = (ROOT / "README.md").read_text()
    assert len(text.splitlines()) <= 250
    assert len(text.encode()) <= 14_000


def test_every_path_in_the_readme_tree_exists_and_has_a_caption() -> None:
    tree = _tree()
    assert not [path for path in tree if not (ROOT / path).exists()]
    assert [path for path, caption in tree.items() if not caption] == ["src/sketchfusion"]


def test_the_readme_tree_lists_every_package() -> None:
    packages = {str((PACKAGE / module).parent.relative_to(ROOT)) for module in MODULES if module.name == "__init__.py"}
    assert packages <= set(_tree())


def _prose(page: Path) -> str:
    return re.sub(r"```.*?```|`[^`\n]*`", "", page.read_text(), flags=re.DOTALL)


def _anchors(page: Path) -> set[str]:
    """The anchors that GitHub gives the headings of a page."""
    headings = re.findall(r"^#+ (.+)$", re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_relative_link_of_a_page_leads_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)\s]+)\)|src=\"([^\"]+)\"", _prose(page))
    for link in (found or source for found, source in links):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = page.parent / path if path else page
        assert target.exists(), f"{link} leads nowhere"
        assert not anchor or anchor in _anchors(target), f"{link}: no such heading"


def test_no_junk_drawers() -> None:
    assert not [m for m in MODULES if m.stem in {"utils", "util", "helpers", "helper", "common", "misc"}]


def test_imports_inside_the_package_are_relative() -> None:
    absolute = re.compile(r"^\s*(from|import) sketchfusion\b", re.MULTILINE)
    code = {m: re.sub(r'"""(?:.|\n)*?"""', "", (PACKAGE / m).read_text()) for m in MODULES}  # a model card shows how
    assert not [m for m in MODULES if absolute.search(code[m])]


def test_no_room_imports_a_private_name_of_another() -> None:
    """A name that begins with an underscore is for its own file, or for files of its own folder."""
    assert private_imports("from ..io.images import _decode, read_image", "tasks/x.py") == ["_decode"]
    assert private_imports("from ...io import images as i\ni._decode(b'')", "lab/data/x.py") == ["i._decode"]
    assert not private_imports("from .store import _rows\nfrom .. import __version__", "gallery/x.py")
    assert not {str(m): found for m in MODULES if (found := private_imports((PACKAGE / m).read_text(), str(m)))}


def private_imports(text: str, path: str) -> list[str]:
    """Private names that a module imports from outside its folder, or reads off modules that it imported from there."""
    tree, modules, found = ast.parse(text), set[str](), []
    for node in (one for one in ast.walk(tree) if isinstance(one, ast.ImportFrom)):
        if node.level > 1 or (node.level == 1 and "/" not in path):
            found += [one.name for one in node.names if one.name.startswith("_") and not one.name.startswith("__")]
            modules |= {one.asname or one.name for one in node.names if (one.asname or one.name)[0].islower()}
    for node in (one for one in ast.walk(tree) if isinstance(one, ast.Attribute)):
        if isinstance(node.value, ast.Name) and node.value.id in modules and re.match(r"_[^_]", node.attr):
            found.append(f"{node.value.id}.{node.attr}")
    return found


def test_the_house_keeps_its_size() -> None:
    house = count()
    assert len(house.files) <= MOST_FILES
    assert sum(house.files.values()) <= MOST_LINES
    assert not {path: lines for path, lines in house.files.items() if lines > LONGEST_FILE}
    assert not {name: lines for name, lines in house.functions.items() if lines > LONGEST_FUNCTION}
    assert len(house.arrows) <= MOST_ARROWS
    assert not house.circles


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
