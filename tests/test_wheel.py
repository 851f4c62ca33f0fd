"""The wheel, away from the checkout: it carries its weights and answers a search."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest

from sketchfusion.world import export

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "pip", "wheel", str(ROOT), "--no-deps", "--no-build-isolation", "-q", "-w", str(out)]
    subprocess.run(build, check=True, capture_output=True)
    return next(out.glob("sketchfusion-*.whl"))


# One process, because a new one takes seconds to import the libraries.
COMMANDS = """
import contextlib, sys
import sketchfusion
from sketchfusion.cli import app

_, photos, sketch = sys.argv
print(sketchfusion.__file__)
with contextlib.redirect_stdout(sys.stderr):
    app(["index", photos, "--gallery", "g"], standalone_mode=False)
app(["search", sketch, "--gallery", "g", "-k", "3", "--json"], standalone_mode=False)
"""


def answers(python: Path, folder: Path) -> None:
    """Index and search in `folder`, where no checkout is."""
    export(folder / "world", 0, ["cow", "door"], "unseen", 2, 128, hands=1)
    photos = folder / "world" / "256x256" / "photo"
    sketch = next((folder / "world" / "256x256" / "sketch").rglob("*.png"))

    def run(*command: object) -> str:
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        done = subprocess.run([*map(str, command)], cwd=folder, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert "sketchfusion 0." in run(python.parent / "sketchfusion", "--version")
    place, _, found = run(python, "-c", COMMANDS, photos, sketch).partition("\n")
    assert str(ROOT) not in place
    hits = json.loads(found)
    assert [hit["rank"] for hit in hits] == [1, 2, 3]
    assert {hit["category"] for hit in hits} <= {"cow", "door"}


def test_it_answers_outside_the_checkout(wheel: Path, tmp_path: Path) -> None:
    """In an environment that borrows the installed libraries but not this checkout."""
    venv.create(tmp_path / "env", with_pip=False)
    python = tmp_path / "env" / "bin" / "python"
    install = [sys.executable, "-m", "pip", "--python", str(python), "install", "--no-deps", "-q", str(wheel)]
    subprocess.run(install, check=True, capture_output=True)
    site = next((tmp_path / "env" / "lib").glob("python*/site-packages"))
    (site / "borrowed.pth").write_text(sysconfig.get_path("purelib") + "\n")
    answers(python, tmp_path)


@pytest.mark.slow
def test_it_installs_and_answers_in_an_empty_environment(wheel: Path, tmp_path: Path) -> None:
    venv.create(tmp_path / "env", with_pip=True)
    python = tmp_path / "env" / "bin" / "python"
    for wanted in ("torch==2.13.0", str(wheel)):
        subprocess.run([python, "-m", "pip", "install", "-q", wanted], check=True, capture_output=True)
    answers(python, tmp_path)
