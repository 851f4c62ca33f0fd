"""Files are written whole or not at all, and read without surprises."""

from __future__ import annotations

import gc
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from safetensors import SafetensorError

from sketchfusion.io.files import atomic_write, cached_arrays, clear_drafts, map_array, read_json


def test_a_file_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    wanted = tmp_path / "bank.npy"
    said = r"bank\.npy cannot be written: the disk may be full \(9 requested and 5 written\)"
    with pytest.raises(OSError, match=said), atomic_write(wanted) as draft:
        draft.touch()
        raise OSError("9 requested and 5 written")  # as numpy says it
    with pytest.raises(OSError, match=r"bank\.npy cannot be written: Permission denied"), atomic_write(wanted):
        raise SafetensorError("Permission denied (os error 13)")
    assert not any(tmp_path.iterdir())


def test_two_runs_that_write_the_same_file_do_not_disturb_each_other(tmp_path: Path) -> None:
    wanted = tmp_path / "cache" / "key.npy"
    with atomic_write(wanted) as one, atomic_write(wanted) as other:
        one.write_text("whole")
        other.write_text("half")
        assert one != other and not wanted.exists() and {one.suffix, other.suffix} == {".npy"}
        assert one.name.startswith(".")
    assert wanted.read_text() == "whole" and [*wanted.parent.iterdir()] == [wanted]
    with pytest.raises(KeyboardInterrupt), atomic_write(wanted) as draft:
        draft.write_text("half")
        raise KeyboardInterrupt
    assert wanted.read_text() == "whole" and [*wanted.parent.iterdir()] == [wanted]


def test_a_folder_is_replaced_as_a_whole(tmp_path: Path) -> None:
    wanted = tmp_path / "sd"
    wanted.mkdir()
    (wanted / "old.safetensors").touch()
    with pytest.raises(RuntimeError), atomic_write(wanted) as draft:
        draft.mkdir()
        (draft / "new.safetensors").touch()
        raise RuntimeError
    assert [path.name for path in tmp_path.rglob("*")] == ["sd", "old.safetensors"]
    with atomic_write(wanted) as draft:
        draft.mkdir()
        (draft / "new.safetensors").touch()
    assert [path.name for path in tmp_path.rglob("*")] == ["sd", "new.safetensors"]


def test_an_old_folder_comes_back_if_the_new_one_cannot_take_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted, replace = tmp_path / "sd", Path.replace
    wanted.mkdir()
    (wanted / "old.safetensors").touch()

    def refused(path: Path, target: Path) -> Path:
        if path.name.endswith(".draft"):
            raise PermissionError(13, "Permission denied")
        return replace(path, target)

    monkeypatch.setattr(Path, "replace", refused)
    with pytest.raises(OSError, match="sd cannot be written: Permission denied"), atomic_write(wanted) as draft:
        draft.mkdir()
    assert [path.name for path in tmp_path.rglob("*")] == ["sd", "old.safetensors"]


def test_drafts_of_files_and_folders_are_cleared_once_nothing_is_written_to_them(tmp_path: Path) -> None:
    for name in (".a.1.draft.npy", ".sd.1.draft/unet/x", ".sd.2.draft/unet/x", ".sd.3.draft.old/x", "kept.npy"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    for path in tmp_path.rglob("*"):
        os.utime(path, (1, 1))
    (tmp_path / ".sd.2.draft" / "unet" / "x").write_text("still being written")
    clear_drafts(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {".sd.2.draft", "kept.npy"}


@pytest.mark.parametrize("damage", [None, b"", b"no archive", "cut"])
def test_a_missing_or_damaged_archive_is_made_again(damage: bytes | str | None, tmp_path: Path) -> None:
    path, calls = tmp_path / "points.npz", []

    def make() -> dict[str, np.ndarray]:
        calls.append(1)
        return {"points": np.arange(1000)}

    if damage == "cut":
        cached_arrays(path, make)
        path.write_bytes(path.read_bytes()[:-40])
        calls.clear()
    elif isinstance(damage, bytes):
        path.write_bytes(damage)
    assert all((cached_arrays(path, make)["points"] == np.arange(1000)).all() for _ in range(2))
    assert calls == [1]


@pytest.mark.parametrize("text", ["", "{broken", "[1, 2]", "7", "null"])
def test_what_is_not_a_json_object_reads_as_empty(text: str, tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    assert read_json(path) == {}
    path.write_text(text)
    assert read_json(path) == {}
    path.write_text('{"method": "SD-PL"}')
    assert read_json(path) == {"method": "SD-PL"}


def test_threads_map_arrays_at_once(tmp_path: Path) -> None:
    """Python 3.11 loses count of the depth of what it parses when another thread parses too, after a finaliser."""
    np.save(tmp_path / "a.npy", np.arange(12, dtype=np.uint8))

    class Cycle:
        def __init__(self) -> None:
            self.itself = self

        def __del__(self) -> None:
            sum(range(50))  # long enough for another thread to take over

    def mapped(_: int) -> int:
        Cycle()
        return int(map_array(tmp_path / "a.npy").sum())

    before = sys.getswitchinterval(), gc.get_threshold()
    try:
        sys.setswitchinterval(1e-6)
        gc.set_threshold(20, 2, 2)
        with ThreadPoolExecutor(4) as threads:
            assert set(threads.map(mapped, range(1500))) == {66}
    finally:
        sys.setswitchinterval(before[0])
        gc.set_threshold(*before[1])
