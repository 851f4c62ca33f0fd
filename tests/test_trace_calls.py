"""A search reads straight: it goes through few files, and seldom from one to another."""

from __future__ import annotations

from pathlib import Path

import sketchfusion
from trace_calls import (
    MOST_FILES,
    MOST_FILES_AT_FIRST,
    MOST_SWITCHES,
    MOST_SWITCHES_AT_FIRST,
    trace,
    trace_searches,
)


def test_a_search_goes_through_few_files(tmp_path: Path, model_folder: Path) -> None:
    first, warm = trace_searches(tmp_path, sketchfusion.load(model_folder))
    assert {"gallery/gallery.py", "features.py", "io/images.py"} <= warm.files
    assert len(warm.files) <= MOST_FILES and warm.switches <= MOST_SWITCHES
    assert len(first.files) <= MOST_FILES_AT_FIRST and first.switches <= MOST_SWITCHES_AT_FIRST
    assert not [file for file in first.files if file.startswith("world/")]


def test_a_trace_counts_changes_of_file(tmp_path: Path) -> None:
    from sketchfusion.io.files import find_images

    traced = trace(lambda: find_images([tmp_path]))
    assert traced.files == {"io/files.py"} and traced.switches == 0
    assert traced.calls[0] == ("io/files.py", "find_images")
