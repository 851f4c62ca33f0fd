"""Load frozen backbones from folders in the usual diffusers or transformers layout.

Both libraries take seconds to import, so a function imports them when it is called.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from ..io.files import atomic_write
from ..io.late import make_late, without_compiler
from ..io.weights import WeightsError, cached, folder_hash, weight_files
from . import catalog
from .convolutional import ConvolutionalClip, load_convolutional_clip, save_convolutional_clip
from .diffusion import FrozenDiffusion
from .encoders import FrozenClip, FrozenDino, FrozenEncoder

if TYPE_CHECKING:
    from transformers import CLIPTokenizer

UNET_KEY = "model.diffusion_model."  # prefix of the UNet's tensors in a checkpoint of one file
CROSS_ATTENTION = "input_blocks.1.1.transformer_blocks.0.attn2"  # the first one of a UNet
END_OF_TEXT = "<|endoftext|>"
SCHEDULE: dict[str, Any] = {  # of the noise, the same in all Stable Diffusions
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "set_alpha_to_one": False,
    "steps_offset": 1,
    "clip_sample": False,
}
# Sizes of the models of the pairs `full` and `released`, as the config.json of their repositories in the catalog says.
SD2 = {"cross_attention_dim": 1024, "attention_head_dim": (5, 10, 20, 20), "use_linear_projection": True}
UNETS: dict[str, dict[str, Any]] = {"sd21": {"sample_size": 96, **SD2}, "sd21-base": {"sample_size": 64, **SD2}}
VAE: dict[str, Any] = {
    "block_out_channels": (128, 256, 512, 512),
    "down_block_types": ("DownEncoderBlock2D",) * 4,
    "up_block_types": ("UpDecoderBlock2D",) * 4,
    "layers_per_block": 2,
    "sample_size": 768,
}
CLIP_SIDES = {"clip-l14": 224, "clip-l14-336": 336}
CLIP_VISION = {
    "hidden_size": 1024,
    "intermediate_size": 4096,
    "num_hidden_layers": 24,
    "num_attention_heads": 16,
    "patch_size": 14,
    "projection_dim": 768,
}
CLIP_TEXT = {"hidden_size": 768, "intermediate_size": 3072, "num_attention_heads": 12, "projection_dim": 768}

# Packages that import much of diffusers, or of scipy, which only schedulers that are not used here need.
LATE = ("diffusers.hooks", "diffusers.models.autoencoders", "diffusers.models.transformers", "diffusers.models.unets")


def diffusers_classes() -> tuple[Any, Any, Any]:
    """Import AutoencoderKL, DDIMScheduler and UNet2DConditionModel of diffusers, and little else of it."""
    make_late(*LATE, "scipy.stats")
    from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
    from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
    from diffusers.schedulers.scheduling_ddim import DDIMScheduler

    return AutoencoderKL, DDIMScheduler, UNet2DConditionModel


def load_diffusion(folder: Path, dtype: torch.dtype = torch.float32) -> FrozenDiffusion:
    """Load a Stable Diffusion folder; WeightsError for a missing part, one not in safetensors or that does not fit."""
    if (folder / "text_encoder_2").is_dir():
        raise WeightsError(f"{folder} holds Stable Diffusion XL; only 1.x and 2.x have the features that are used here")
    with loading_errors(folder):
        AutoencoderKL, DDIMScheduler, UNet2DConditionModel = diffusers_classes()
        unet = _load(UNet2DConditionModel, folder, "unet", dtype)
        # The encoder is all convolutions: a third faster with the channels last, on a CPU too.
        vae = _load(AutoencoderKL, folder, "vae", dtype).to(memory_format=torch.channels_last)
        scheduler = DDIMScheduler.from_pretrained(folder, subfolder="scheduler", local_files_only=True)
        return FrozenDiffusion(unet, vae, scheduler, embed_prompt(folder).to(dtype))


def blank_diffusion(name: str) -> FrozenDiffusion:
    """Make a Stable Diffusion of the sizes of a name or folder, on the meta device, without weights."""
    unet, vae = UNETS.get(name), VAE
    if unet is None:
        unet, vae = (_read_json(catalog.locate(name) / part / "config.json") for part in ("unet", "vae"))
    with quiet_libraries(), torch.device("meta"):
        AutoencoderKL, DDIMScheduler, UNet2DConditionModel = diffusers_classes()
        scheduler = DDIMScheduler(**SCHEDULE)
        parts = UNet2DConditionModel.from_config(unet), AutoencoderKL.from_config(vae)
        return FrozenDiffusion(*parts, scheduler, torch.empty(1, 77, parts[0].config.cross_attention_dim))


def blank_encoder(name: str) -> FrozenEncoder:
    """Make a CLIP or DINO of a name or folder without weights (on the meta device); a convolutional CLIP is loaded."""
    from transformers import AutoConfig, AutoModel, CLIPConfig

    if name not in CLIP_SIDES and catalog.model_type(catalog.locate(name)) == catalog.CONVOLUTIONAL_CLIP:
        return load_clip(catalog.locate(name))
    if name in CLIP_SIDES:
        vision = {"image_size": CLIP_SIDES[name], **CLIP_VISION}
        config: Any = CLIPConfig(text_config=CLIP_TEXT, vision_config=vision, projection_dim=vision["projection_dim"])
    else:
        config = AutoConfig.from_pretrained(catalog.locate(name), local_files_only=True)
    with quiet_libraries(), torch.device("meta"):
        model = AutoModel.from_config(config)
    if config.model_type == "clip":
        return FrozenClip(model, cast("CLIPTokenizer", None), catalog.OPENAI_MEAN, catalog.OPENAI_STD)
    return FrozenDino(model, catalog.dino_side(name), catalog.IMAGENET_MEAN, catalog.IMAGENET_STD)


def embed_prompt(folder: Path, prompt: str = "") -> Tensor:
    """Encode a prompt with a Stable Diffusion folder's tokenizer and text encoder: (1, L, D), float32.

    The null prompt's embedding is cached: the text encoder of a full model takes seconds.
    """
    with loading_errors(folder):
        if prompt:
            return _encode_prompt(folder, prompt)
        made_of = ["null prompt", *_text_digest(folder / "text_encoder", folder / "tokenizer")]
        return cached(made_of, lambda: _encode_prompt(folder, ""))


def _encode_prompt(folder: Path, prompt: str) -> Tensor:
    from transformers import CLIPTextModel, CLIPTokenizer

    tokenizer = CLIPTokenizer.from_pretrained(folder / "tokenizer", local_files_only=True)
    encoder = _load(CLIPTextModel, folder, "text_encoder", torch.float32).eval()
    length = encoder.config.max_position_embeddings
    ids = tokenizer(prompt, padding="max_length", max_length=length, truncation=True, return_tensors="pt").input_ids
    with torch.no_grad():
        embedding: Tensor = encoder(ids).last_hidden_state
    return embedding


def _text_digest(weights: Path, tokenizer: Path) -> list[str]:
    """Give what the vectors of a text encoder depend on: the hash of its weights, and of its small files."""
    small = [path for folder in {weights, tokenizer} for path in folder.glob("*") if path.suffix in (".json", ".txt")]
    return [folder_hash(weights), *sorted(hashlib.sha256(path.read_bytes()).hexdigest() for path in small)]


def load_clip(folder: Path, dtype: torch.dtype = torch.float32) -> FrozenClip:
    """Load a CLIP folder, transformers' or convolutional; WeightsError if a part is missing or does not fit."""
    with loading_errors(folder):
        names = folder / "labels.txt"
        labels = names.read_text().splitlines() if names.is_file() else ()
        if catalog.model_type(folder) == catalog.CONVOLUTIONAL_CLIP:
            clip: FrozenClip = load_convolutional_clip(folder, dtype, labels)
        else:
            from transformers import CLIPModel, CLIPTokenizer

            model = _load(CLIPModel, folder, "", dtype)
            tokenizer = CLIPTokenizer.from_pretrained(folder, local_files_only=True)
            preprocessing = _read_json(folder / "preprocessor_config.json")
            mean = preprocessing.get("image_mean", catalog.OPENAI_MEAN)
            std = preprocessing.get("image_std", catalog.OPENAI_STD)
            clip = FrozenClip(model, tokenizer, mean, std, labels)
        clip.text_digest = [str(dtype), *_text_digest(folder, folder)]
        return clip


def load_dino(folder: Path, dtype: torch.dtype = torch.float32, side: int = 224) -> FrozenDino:
    """Load a DINO or DINOv2 folder (`side` if it names none); WeightsError if it is neither or does not fit."""
    with loading_errors(folder):
        from transformers import Dinov2Model, ViTModel

        kind = catalog.model_type(folder)
        if kind == "vit":
            model = _load(ViTModel, folder, "", dtype, add_pooling_layer=False)
        elif kind == "dinov2":
            model = _load(Dinov2Model, folder, "", dtype)
        else:
            raise WeightsError(f"{folder} holds a {kind or 'model without config.json'}, not DINO or DINOv2")
        preprocessing = _read_json(folder / "preprocessor_config.json")
        mean = preprocessing.get("image_mean", catalog.IMAGENET_MEAN)
        std = preprocessing.get("image_std", catalog.IMAGENET_STD)
        size = preprocessing.get("size")
        # A size with a height is the model's input; one of the shortest edge is cropped from afterwards.
        return FrozenDino(model, size.get("height", side) if isinstance(size, dict) else side, mean, std)


def load_encoder(name: str, folder: Path, dtype: torch.dtype = torch.float32) -> FrozenEncoder:
    """Load a CLIP, or a DINO whose side is known by its catalog name or hub id; WeightsError as `load_clip`."""
    return load_dino(folder, dtype, catalog.dino_side(name)) if catalog.is_dino(folder) else load_clip(folder, dtype)


def save_model(model: Any, folder: Path, **options: Any) -> None:
    """Save a diffusers or transformers model without the path that it was loaded from."""
    with quiet_libraries():
        model.save_pretrained(folder, **options)
    config = _read_json(folder / "config.json")
    config.pop("_name_or_path", None)
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n")


def save_clip(clip: FrozenClip, folder: Path) -> None:
    """Save a CLIP in its own layout and float32, without what its folder has beside weights and configuration."""
    if isinstance(clip, ConvolutionalClip):
        save_convolutional_clip(clip, folder, torch.float32)
    else:
        save_model(clip.model, folder)


def _load(kind: Any, folder: Path, subfolder: str, dtype: torch.dtype, **options: Any) -> Any:
    """Load one model of a folder with its own library."""
    weights = weight_files(folder / subfolder)
    options |= {"local_files_only": True, "use_safetensors": True}
    if all(".fp16." in path.name for path in weights):
        options["variant"] = "fp16"
    if kind.__module__.startswith("diffusers"):
        # Without accelerate diffusers can only load in the memory-hungry way, and warns unless told to.
        options |= {"torch_dtype": dtype, "low_cpu_mem_usage": find_spec("accelerate") is not None}
    else:
        options |= {"dtype": dtype}
    model, report = kind.from_pretrained(folder / subfolder, output_loading_info=True, **options)
    # Both libraries fill what a file lacks with random numbers and go on.
    missing = sorted(map(str, [*report["missing_keys"], *report["mismatched_keys"]]))
    if missing:
        raise WeightsError(
            f"{folder / subfolder} does not hold a whole {kind.__name__}: {len(missing)} tensors such as {missing[0]} "
            "are missing or of another shape"
        )
    return model


def convert_single_file(file: Path, out: Path, tokenizer: Path | None = None) -> None:
    """Make a folder in the hub's layout of a Stable Diffusion 1.x or 2.x in one safetensors file, without the network.

    diffusers' own functions rename the tensors; sizes are read off them. Such a file has no tokenizer: it is copied
    from the folder `tokenizer` of a CLIP or a Stable Diffusion. Without one the empty prompt, which is all that
    features need, is encoded as it should be, and words letter by letter. WeightsError, and nothing is written, for
    other files.
    """
    from diffusers import DDIMScheduler
    from transformers import CLIPTextConfig

    if out.exists():
        raise WeightsError(f"{out} exists already; name a new folder")
    try:
        state = load_file(file)
    except (SafetensorError, OSError) as error:
        raise WeightsError(
            f"{file} is not a safetensors file; of a checkpoint as .ckpt get the copy as .safetensors"
        ) from error
    first, keys = state.get(f"{UNET_KEY}input_blocks.0.0.weight"), state.get(f"{UNET_KEY}{CROSS_ATTENTION}.to_k.weight")
    if any(name.startswith("conditioner.") for name in state):
        raise WeightsError(f"{file} is Stable Diffusion XL; only 1.x and 2.x have the features that are used here")
    if first is None or keys is None or first.shape[1] != 4:
        what = "something else" if first is None or keys is None else "a Stable Diffusion for inpainting or depth"
        raise WeightsError(f"{file} is {what}, not a whole Stable Diffusion 1.x or 2.x in one file")
    second = state[f"{UNET_KEY}input_blocks.1.1.proj_in.weight"].dim() == 2  # Stable Diffusion 2.x
    small = "base" in file.stem or "512" in file.stem  # 2.x for 512 pixels, which predicts the noise itself
    with loading_errors(file), atomic_write(out) as draft:
        for name, kind, config, found in _single_file_parts(state, second, small):
            with torch.device("meta"):
                model = kind(**config) if name != "text_encoder" else kind(CLIPTextConfig(**config))
            expected = model.state_dict()
            wrong = [key for key, of in expected.items() if key not in found or found[key].shape != of.shape]
            if wrong:
                raise WeightsError(
                    f"{file}: {len(wrong)} tensors of its {name} such as {wrong[0]} are missing or misfit"
                )
            model.load_state_dict({key: found[key].contiguous() for key in expected}, assign=True)
            save_model(model, draft / name)
        kind_of_noise = {"prediction_type": "v_prediction"} if second and not small else {}
        DDIMScheduler(**SCHEDULE, **kind_of_noise).save_pretrained(draft / "scheduler")
        _single_file_tokenizer(tokenizer, "!" if second else END_OF_TEXT).save_pretrained(draft / "tokenizer")
        (draft / "model_index.json").write_text(json.dumps({"_class_name": "StableDiffusionPipeline"}) + "\n")


def _single_file_parts(state: Mapping[str, Tensor], second: bool, small: bool) -> Iterator[tuple[str, Any, Any, Any]]:
    """Yield name, class, configuration and renamed tensors of each part; `small` is a checkpoint for 512 pixels."""
    from diffusers import AutoencoderKL, UNet2DConditionModel
    from diffusers.loaders import single_file_utils as rename
    from transformers import CLIPTextModel

    base = len(state[f"{UNET_KEY}input_blocks.0.0.weight"])
    channels = tuple(base * factor for factor in (1, 2, 4, 4))
    unet = {
        "block_out_channels": channels,
        "cross_attention_dim": state[f"{UNET_KEY}{CROSS_ATTENTION}.to_k.weight"].shape[1],
        "layers_per_block": 2,
        "sample_size": 96 if second and not small else 64,
        "attention_head_dim": tuple(max(1, width // 64) for width in channels) if second else 8,
        "use_linear_projection": second,
    }
    yield "unet", UNet2DConditionModel, unet, rename.convert_ldm_unet_checkpoint(state, unet)
    base = len(state["first_stage_model.encoder.conv_in.weight"])
    channels, side = tuple(base * factor for factor in (1, 2, 4, 4)), 768 if second and not small else 512
    vae = {**VAE, "block_out_channels": channels, "sample_size": side}
    yield "vae", AutoencoderKL, vae, rename.convert_ldm_vae_checkpoint(state, vae)
    if second:
        width = state["cond_stage_model.model.positional_embedding"].shape[1]
        found = rename.convert_open_clip_checkpoint(SimpleNamespace(config=SimpleNamespace(hidden_size=width)), state)
    else:
        found = rename.convert_ldm_clip_checkpoint(state)
    found = {key.removeprefix("text_model."): value for key, value in found.items()}
    positions, width = found["embeddings.position_embedding.weight"].shape
    text = {
        "vocab_size": len(found["embeddings.token_embedding.weight"]),
        "hidden_size": width,
        "intermediate_size": len(found["encoder.layers.0.mlp.fc1.weight"]),
        "num_hidden_layers": 1 + max(int(key.split(".")[2]) for key in found if key.startswith("encoder.layers.")),
        "num_attention_heads": max(1, width // 64),
        "max_position_embeddings": positions,
        "hidden_act": "gelu" if second else "quick_gelu",
    }
    yield "text_encoder", CLIPTextModel, text, found


def _single_file_tokenizer(folder: Path | None, pad: str) -> "CLIPTokenizer":
    """Take the tokenizer of a model folder, or make one of CLIP's bytes alone, and let it pad with `pad`."""
    from transformers import CLIPTokenizer

    if folder:
        inner = folder / "tokenizer" if (folder / "tokenizer").is_dir() else folder
        return CLIPTokenizer.from_pretrained(inner, pad_token=pad, local_files_only=True)
    codes = (*range(33, 127), *range(161, 173), *range(174, 256), *range(256, 324))
    letters = [chr(code) for code in codes]  # in CLIP's own order, so that "!" is token 0
    names = [*letters, *(f"{letter}</w>" for letter in letters)]
    vocabulary = {name: number for number, name in enumerate(names)} | {"<|startoftext|>": 49406, END_OF_TEXT: 49407}
    return CLIPTokenizer(vocab=vocabulary, merges=[], pad_token=pad, model_max_length=77)


@contextmanager
def loading_errors(folder: Path) -> Iterator[None]:
    """Silence the libraries while they load a folder, and turn their errors into a WeightsError of one line."""
    try:
        with quiet_libraries():
            yield
    except WeightsError:
        raise
    except (OSError, ValueError, KeyError, RuntimeError, TypeError, SafetensorError) as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        reason = reason.partition(" If you want to")[0]  # diffusers' advice to programmers
        raise WeightsError(f"cannot load {folder}: {reason}") from error


@contextmanager
def quiet_libraries() -> Iterator[None]:
    """Turn off the progress bars and reports of transformers and diffusers, and import no compiler for them."""
    with without_compiler():
        from diffusers.utils import logging as diffusers_logging
        from transformers.utils import logging as transformers_logging

        libraries = (transformers_logging, diffusers_logging)
        levels = [library.get_verbosity() for library in libraries]
        bars = transformers_logging.is_progress_bar_enabled()
        for library in libraries:
            library.set_verbosity_error()
            library.disable_progress_bar()
        try:
            yield
        finally:
            for library, level in zip(libraries, levels, strict=True):
                library.set_verbosity(level)
                if bars:
                    library.enable_progress_bar()


def _read_json(path: Path) -> dict[str, Any]:
    return dict(json.loads(path.read_text())) if path.is_file() else {}
