"""What every test can ask for."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

# Before any library reads them: no test may reach the network or leave a trace in the user's cache.
os.environ["HF_HUB_OFFLINE"] = "1"
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # one worker for each core already

pytest_plugins = ["fixtures.tiny", "fixtures.fused", "fixtures.studio", "fixtures.browser"]


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of small real data sets, from SKETCHFUSION_DATA or beside the checkout; skips where there is none."""
    beside = Path(__file__).resolve().parents[2] / "shared" / "data"
    folder = Path(os.environ.get("SKETCHFUSION_DATA", beside))
    if not folder.is_dir():
        pytest.skip(f"no real data at {folder}; set SKETCHFUSION_DATA to test on them")
    return folder


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
