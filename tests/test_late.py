"""Importing libraries in part, and what is computed once for all runs."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from sketchfusion.backbones import folders
from sketchfusion.backbones.folders import embed_prompt, load_clip
from sketchfusion.baselines.frozen import ClipBaseline
from sketchfusion.baselines.trained import FinetunedBaseline
from sketchfusion.io.late import LatePackage, make_late
from sketchfusion.io.weights import cache_folder, cached
from sketchfusion.tasks.recognition import CACHED, prototypes

NAMES = [f"name {number}" for number in range(CACHED)]
LIBRARIES = """
import sys, torch, sketchfusion
from sketchfusion.backbones.catalog import locate

model = sketchfusion.load("mini")
assert "torch._dynamo" not in sys.modules, "the compiler was imported"
assert "diffusers.models.transformers.transformer_flux" not in sys.modules, "other models were imported"

import diffusers.hooks
from diffusers import FluxTransformer2DModel, StableDiffusionPipeline, UNet2DConditionModel
from diffusers.models.unets import UNet2DModel

unet = UNet2DConditionModel.from_pretrained(locate("package:mini/sd"), subfolder="unet").eval()
inputs = torch.randn(1, 4, 16, 16), 10, torch.randn(1, 24, 128)
with torch.no_grad():
    plain, compiled = (run(*inputs).sample for run in (unet, torch.compile(unet, backend="eager")))
assert torch.allclose(plain, compiled, atol=1e-5)
assert callable(diffusers.hooks.apply_first_block_cache)
assert StableDiffusionPipeline.from_pretrained(locate("package:mini/sd")).vae.config.latent_channels == 4
print("as ever")
"""


def test_a_late_package_gives_its_modules_without_running_and_runs_when_it_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "largelibrary"
    (package / "parts").mkdir(parents=True)
    (package / "__init__.py").write_text("ran = []\n")
    (package / "parts" / "__init__.py").write_text(
        "import largelibrary\nfrom .small import VALUE\nfrom . import large\nlargelibrary.ran.append('parts')\n"
    )
    (package / "parts" / "small.py").write_text("VALUE = 3\n")
    (package / "parts" / "large.py").write_text("import largelibrary\nlargelibrary.ran.append('large')\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    try:
        make_late("largelibrary.parts", "largelibrary.nowhere", "nosuchlibrary", "nosuchlibrary.parts")
        from largelibrary.parts.small import VALUE  # type: ignore[import-not-found]

        parts, ran = sys.modules["largelibrary.parts"], sys.modules["largelibrary"].ran  # type: ignore[attr-defined]
        assert isinstance(parts, LatePackage) and (VALUE, ran) == (3, [])
        with pytest.raises(AttributeError, match=r"'largelibrary\.parts' has no attribute 'missing'"):
            _ = parts.missing
        assert (parts.VALUE, parts.large.__name__, ran) == (3, "largelibrary.parts.large", ["large", "parts"])
        make_late("largelibrary.parts")
        assert sys.modules["largelibrary.parts"] is parts and ran == ["large", "parts"]
        assert "nosuchlibrary" not in sys.modules
    finally:
        for name in [name for name in sys.modules if name.startswith("largelibrary")]:
            del sys.modules[name]


def test_a_model_loads_without_the_compiler_and_the_libraries_work_as_ever() -> None:
    done = subprocess.run([sys.executable, "-c", LIBRARIES], capture_output=True, text=True, check=False)
    assert done.stdout.endswith("as ever\n"), done.stderr


def test_a_model_loads_in_an_installation_without_extras() -> None:
    """Tests run with all extras; what a plain installation lacks is hidden from the libraries."""
    hide = "import sys; sys.modules |= dict.fromkeys(['scipy', 'accelerate', 'tensorboard', 'pydensecrf']);"
    use = (
        "import sketchfusion, numpy; print(sketchfusion.load('mini').embed([numpy.zeros((64, 64, 3), 'uint8')]).shape)"
    )
    done = subprocess.run([sys.executable, "-c", hide + use], capture_output=True, text=True, check=False)
    assert done.stdout == "torch.Size([1, 640])\n", done.stderr


def test_a_tensor_is_computed_once_and_again_when_its_file_is_damaged() -> None:
    computed = []

    def compute() -> Tensor:
        computed.append(1)
        return torch.arange(6.0).view(2, 3).T

    assert torch.equal(cached(["a"], compute), cached(["a"], compute)) and len(computed) == 1
    cached(["b"], compute)
    assert len(computed) == 2
    for file in (cache_folder() / "tensors").iterdir():
        file.write_bytes(file.read_bytes()[:-5])
    assert torch.equal(cached(["a"], compute), torch.arange(6.0).view(2, 3).T) and len(computed) == 3


def test_the_null_prompt_is_encoded_once_for_a_text_encoder_and_a_tokenizer(
    sd_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, encoded = tmp_path / "sd", []
    for part in ("text_encoder", "tokenizer"):
        shutil.copytree(sd_folder / part, folder / part)
    encode = folders._encode_prompt
    monkeypatch.setattr(folders, "_encode_prompt", lambda *of: encoded.append(of) or encode(*of))
    first = embed_prompt(folder)
    assert torch.equal(embed_prompt(folder), first) and len(encoded) == 1
    assert torch.equal(embed_prompt(sd_folder), first) and len(encoded) == 1, "the same text encoder elsewhere"
    weights = folder / "text_encoder" / "model.safetensors"
    save_file({name: value * 0.9 for name, value in load_file(weights).items()}, weights, {"format": "pt"})
    assert not torch.allclose(embed_prompt(folder), first) and len(encoded) == 2
    tokenizer = folder / "tokenizer" / "tokenizer_config.json"
    tokenizer.write_text(tokenizer.read_text() + "\n")
    embed_prompt(folder)
    embed_prompt(folder, "a cat")
    embed_prompt(folder, "a cat")
    assert len(encoded) == 5, "another tokenizer once, other prompts each time"


def test_many_names_are_encoded_once_for_a_clip(clip_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model, asked = ClipBaseline.load(str(clip_folder)), list[str]()
    encode = type(model).encode_text

    def encode_text(self: ClipBaseline, prompts: Sequence[str]) -> Tensor:
        asked.extend(prompts)
        return encode(self, prompts)

    monkeypatch.setattr(type(model), "encode_text", encode_text)
    first = prototypes(model, NAMES)
    count = len(asked)
    assert np.array_equal(prototypes(ClipBaseline.load(str(clip_folder)), NAMES), first) and len(asked) == count > 0
    assert not np.array_equal(prototypes(model, NAMES, "photo"), first)
    assert np.array_equal(prototypes(model, NAMES[::-1]), first[::-1]) and len(asked) > 2 * count
    count = len(asked)
    prototypes(model, NAMES[:3])
    prototypes(model, NAMES[:3])
    assert len(asked) == count + 2 * 3 * 5, "a few names leave no file"


def test_names_of_a_clip_in_training_are_never_kept(sd_folder: Path, clip_folder: Path) -> None:
    model = FinetunedBaseline.untrained(str(sd_folder), str(clip_folder))
    before = prototypes(model, NAMES)
    with torch.no_grad():
        model.clip.model.text_projection.weight.mul_(torch.linspace(0.5, 2, model.clip.dim)[:, None])
    assert not np.allclose(prototypes(model, NAMES), before)
    assert load_clip(clip_folder).text_digest
