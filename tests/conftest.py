"""What every test can ask for."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# Before any library reads them: no test may reach the network or leave a trace in the user's cache.
os.environ["HF_HUB_OFFLINE"] = "1"
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # one worker for each core already

settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")

pytest_plugins = ["fixtures.tiny", "fixtures.fused", "fixtures.roots", "fixtures.studio", "fixtures.browser"]


def pytest_xdist_auto_num_workers() -> int:
    """Run one worker more than there are cores, because tests of the browser and of servers wait; four at most."""
    return min(4, (os.cpu_count() or 1) + 1)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of small real data sets, from SKETCHFUSION_DATA or beside the checkout; skips where there is none."""
    beside = Path(__file__).resolve().parents[2] / "shared" / "data"
    folder = Path(os.environ.get("SKETCHFUSION_DATA", beside))
    if not folder.is_dir():
        pytest.skip(f"no real data at {folder}; set SKETCHFUSION_DATA to test on them")
    return folder


@pytest.fixture
def unmeasured() -> Iterator[None]:
    """Measure no coverage of what this thread runs, for tests of much Python that others run too: it doubles its time.

    Servers in threads of their own are still measured, which they are not after pytest-cov's `no_cover`.
    """
    measuring = sys.gettrace()
    sys.settrace(None)
    yield
    sys.settrace(measuring)


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
