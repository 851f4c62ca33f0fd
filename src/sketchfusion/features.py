"""SketchFusion: pictures in, fused feature maps and embeddings out; and the folders that hold its light weights."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

import torch
from torch import Tensor, nn

from . import extractor
from .backbones import catalog
from .backbones.catalog import Card, FusedCard, Preset
from .backbones.convolutional import ConvolutionalClip
from .backbones.diffusion import FrozenDiffusion
from .backbones.encoders import FrozenEncoder, resize_square
from .backbones.folders import load_diffusion, load_encoder
from .extractor import Device, ModelInput, ModelOutput, Precision, TrainedExtractor, pick_device, pick_dtype
from .featuremap import FeatureMap, Frame
from .fusion import FusionConfig, FusionModel, Student, kind_indices
from .io.images import ImageInput, Images, Kind, NormalisedSketch, as_list, read_image
from .io.weights import PACKAGE, WeightsError, folder_hash, resolve, upload, weights_hash
from .saved import CONFIG, UNIVERSAL, Heads, build, check_hash, load_weights, read_trained, write_trained

MATCHING, CUTTING = "correspondence", "segmentation"  # the tasks whose maps get something of CLIP's own
FINER = 2  # how many times its usual side CLIP sees pictures for that


@dataclass(frozen=True)
class FeaturesConfig:
    """How pictures become features; the defaults are the paper's intent at full size."""

    diffusion: str = "sd21"  # catalog name, hub id or folder
    clip: str = "clip-l14"  # or a DINO in its place
    diffusion_hash: str = ""  # of the weights that the light parts were trained on
    clip_hash: str = ""
    task: str = "retrieval"
    side: int = 480  # pixels of the VAE's input
    view: Literal["letterbox", "as-released"] = "letterbox"
    vae_range: tuple[float, float] = (-1.0, 1.0)  # what black and white become on the way into the VAE
    sample_latents: bool = False  # draw from the VAE's posterior instead of taking its mean
    clip_layer: int | None = None  # None: the one that the encoder is meant to be read at, the penultimate of a ViT
    whole: float = 0.0  # weight of CLIP's own vector in the embedding; the pooled map's is 1
    dense: float = 0.0  # weight of CLIP's own tokens in maps for matching points; the fused map's is 1
    local: bool = False  # whether maps for segmentation have the vector of each cell of CLIP's last map, if it has any
    student: int = 0  # channels inside the student that stands in for the diffusion model; 0: there is none
    fusion: FusionConfig = field(default_factory=FusionConfig)


@dataclass(frozen=True)
class Encoded:
    """The output of the frozen encoders for B pictures: all that training needs of them, so it can be cached."""

    latents: Tensor  # (B, c, h, w) scaled; (B, draws, c, h, w) where they are sampled
    tokens: Tensor  # (B, C, h', w') of CLIP, or of the DINO in its place
    vectors: Tensor  # (B, V) one a picture, not normalised: CLIP's, or a DINO's class token
    joint: Tensor | None  # (B, P) in CLIP's joint space, not normalised; None with a DINO
    frames: list[Frame]
    kinds: Tensor  # (B,) PHOTO or SKETCH


class SketchFusion(TrainedExtractor):
    """A frozen diffusion model and a frozen CLIP, or a DINO in its place, fused by light weights for one task."""

    clip: FrozenEncoder

    def __init__(
        self, diffusion: FrozenDiffusion | None, clip: FrozenEncoder, config: FeaturesConfig, name: str = "sketchfusion"
    ) -> None:
        """Join loaded frozen parts by new, untrained light weights; `from_pretrained` loads trained ones.

        Without a diffusion model, which a configuration of a `student` has none of, the maps are the student's.
        """
        self.name, self.config = name, config
        self.side = config.side if config.view == "as-released" else max(config.side, clip.side)
        self.clip = clip
        self._diffusion = diffusion
        self._maps: FusionModel | Student
        if diffusion:
            self._maps = FusionModel(diffusion, clip.channels, config.fusion).eval()
        else:
            if not isinstance(clip, ConvolutionalClip):
                raise WeightsError("a student stands on a convolutional CLIP, as mini-clip is; this one is none")
            levels: list[int] = clip.model.image.level_channels
            self._maps = Student(levels, config.student, config.fusion.width, config.fusion.grid).eval()
        self.device = torch.device("cpu")
        self._tasks: Path | None = None  # a folder with one set of light weights for each task
        self._by_task: dict[str, SketchFusion] = {config.task: self}

    def __repr__(self) -> str:
        config, grid, width = self.config, self.config.fusion.grid, self.config.fusion.width
        parts = f"student on {config.clip}" if config.student else f"{config.diffusion} + {config.clip}"
        return (
            f"SketchFusion({self.name!r}: {parts} for {config.task}, {self.side} px -> "
            f"maps ({width}, {grid}, {grid}), vectors ({self.dim},), on {self.device})"
        )

    @property
    def model(self) -> FusionModel:
        """The fusion of the frozen parts; ValueError for a student, which has none."""
        if isinstance(self._maps, Student):
            raise ValueError(f"{self.name} is a student: there is no diffusion model in it; take its teacher")
        return self._maps

    @property
    def light(self) -> nn.Module:
        """All that is trained and saved."""
        return self._maps if isinstance(self._maps, Student) else self._maps.light

    @classmethod
    def from_pretrained(
        cls,
        name_or_path: str | Path = "mini",
        device: Device = None,
        dtype: Precision = None,
        task: str | None = None,
        *,
        diffusion: str | None = None,
        clip: str | None = None,
    ) -> "SketchFusion":
        """Load a fused model with its light weights by catalog name, hub id or folder.

        `task` chooses a set where there are several, by default retrieval's. `diffusion` and `clip` say where the
        frozen parts are when that is not where the configuration says; their hashes must be those that the light
        weights were trained on. Raises WeightsError, in one line, when anything is missing or does not fit.
        """
        root = find_light_weights(str(name_or_path))
        folder = find_task_folder(root, task or "retrieval")
        config, state = read_light_weights(folder)
        config = replace(config, diffusion=diffusion or config.diffusion, clip=clip or config.clip)
        model = cls._assemble(config, str(name_or_path), device, dtype)
        load_weights(model.light, state, folder)
        model.heads = Heads.read(folder)
        if folder != root:
            model._tasks, model._by_task = root, {folder.name: model}
        return model.for_task(task)

    @classmethod
    def untrained(
        cls,
        name: str = "mini",
        device: Device = None,
        dtype: Precision = None,
        task: str | None = None,
        *,
        preset: Preset | None = None,
        config: FeaturesConfig | None = None,
    ) -> "SketchFusion":
        """Make a model with new light weights for a pair of the catalog, by a preset or all by `config`."""
        config = config or pair_config(name, preset)
        return cls._assemble(replace(config, task=task or config.task), name, device, dtype)

    @classmethod
    def _assemble(cls, config: FeaturesConfig, name: str, device: Device, dtype: torch.dtype | None) -> "SketchFusion":
        """Load the frozen parts that a configuration names; check their hashes, or fill them in."""
        device = pick_device(device)
        dtype = pick_dtype(device, dtype)
        vit = catalog.locate(config.clip)
        config = replace(config, clip=catalog.lasting_name(config.clip), clip_hash=check_hash(vit, config.clip_hash))
        diffusion = None
        if not config.student:
            sd = catalog.locate(config.diffusion)
            found, diffusion = check_hash(sd, config.diffusion_hash), load_diffusion(sd, dtype)
            config = replace(config, diffusion=catalog.lasting_name(config.diffusion), diffusion_hash=found)
        return cls(diffusion, load_encoder(config.clip, vit, dtype), config, name).to(device)

    def to(self, device: str | torch.device) -> "SketchFusion":
        """Move every part to a device, other tasks' too; ValueError, and nothing has moved, if it cannot be used."""
        chosen = pick_device(device)
        for model in (self, *self._by_task.values()):
            model.device = chosen
            model._maps.to(chosen)
        self.clip.to(chosen)
        return self

    def serves(self, task: str) -> bool:
        if task == self.config.task or self._tasks is None:
            return self.config.task in (task, UNIVERSAL)
        return any((self._tasks / name / CONFIG).is_file() for name in (task, UNIVERSAL))

    def for_task(self, task: str | None) -> "SketchFusion":
        """Give the model with a task's or universal light weights, sharing the frozen parts; else WeightsError."""
        if task in (None, self.config.task):
            return self
        if self._tasks is None:
            if self.config.task == UNIVERSAL:
                return self
            raise WeightsError(f"{self.name} has light weights for {self.config.task!r} only, not for {task!r}")
        folder = find_task_folder(self._tasks, task)
        if folder.name not in self._by_task:
            config, state = read_light_weights(folder)
            if (config.diffusion_hash, config.clip_hash) != (self.config.diffusion_hash, self.config.clip_hash):
                raise WeightsError(f"{folder} was trained on other frozen weights than {self.name}")
            config = replace(config, diffusion=self.config.diffusion, clip=self.config.clip)  # where they were found
            other = SketchFusion(self._diffusion, self.clip, config, self.name).to(self.device)
            load_weights(other.light, state, folder)
            other.heads = Heads.read(folder)
            other._tasks, other._by_task = self._tasks, self._by_task
            self._by_task[folder.name] = other
        return self._by_task[folder.name]

    @property
    def fingerprint(self) -> str:
        """A hash of configuration, frozen and light weights; where the parts lie, device and type do not count."""
        unused = {"diffusion", "clip", "task"}
        # so that galleries made before these settings existed stay valid; `local` shapes no vector and no fused map
        unused |= {"local"} | {name for name in ("dense", "student") if not getattr(self.config, name)}
        settings = {key: value for key, value in asdict(self.config).items() if key not in unused}
        settings["light"] = weights_hash(self.light)
        return extractor.hash_settings(settings)

    @property
    def dim(self) -> int:
        """The length of an embedding: d, plus CLIP's own vector where it is appended."""
        return self.config.fusion.width + (self.clip.pooled_dim if self.config.whole else 0)

    def prepare(self, image: ImageInput, kind: Kind) -> ModelInput:
        if self.config.view == "as-released":
            return extractor.prepare_as_released(image, self.side, self.clip.side)
        return extractor.prepare_letterboxed(image, kind, self.side)

    def extract(
        self, images: Images, kind: Kind = "photo", batch_size: int = 8, task: str | None = None
    ) -> list[FeatureMap]:
        """Give each picture's fused map (d, grid, grid) as `Extractor.extract` does, with CLIP's own for two tasks.

        With `task="correspondence"` CLIP's own tokens are appended, weighted by the configuration's `dense`; with
        `task="segmentation"` the maps get the image vectors of the cells of CLIP's last map (`local`). For that CLIP
        sees pictures larger, because parts need finer cells than whole objects; but not sketches, whose vectors are
        averaged. Without `task` a map is the fused one alone, even of a model for these tasks.
        """
        model = self.for_task(task)
        matches, cuts = task == MATCHING and model.config.dense > 0, task == CUTTING and model.config.local
        if not matches and not cuts:
            return super().extract(images, kind, batch_size, task)
        side, sources = model.clip.side * (1 if cuts and kind == "sketch" else FINER), as_list(images)
        maps = list[FeatureMap]()
        for start in extractor.batch_starts(len(sources), batch_size):
            read = [read_image(image, kind) for image in sources[start : start + batch_size]]
            pictures: list[ImageInput] = [NormalisedSketch(one) if kind == "sketch" else one for one in read]
            inputs = [extractor.prepare_letterboxed(picture, kind, side) for picture in pictures]
            squares = extractor.stack([one.square for one in inputs], model.device)
            with torch.no_grad():
                tokens = model.clip(squares, model.config.clip_layer, side)
            fused = super().extract(pictures, kind, batch_size, task)
            if matches:
                finer = zip(fused, tokens.dense.float().cpu(), strict=True)
                maps += [one.beside(replace(one, data=data), model.config.dense) for one, data in finer]
            elif tokens.local is None:
                maps += fused
            else:
                local = zip(fused, tokens.local.float().cpu(), strict=True)
                maps += [replace(one, local=data) for one, data in local]
        return maps

    def encode(self, images: Images, kind: Kind = "photo") -> Encoded:
        """Run the frozen VAE and CLIP once for each picture; latents, tokens and kinds are what `model` takes."""
        return self._encode([one for batch in self._batches(images, kind, batch_size=8) for one in batch])

    def forward(self, inputs: Sequence[ModelInput]) -> ModelOutput:
        """Compute fused maps (B, d, grid, grid), embeddings and CLIP's joint-space vectors in one pass.

        An embedding is the maximum of the map (paper, section 6.1), with CLIP's own vector appended as the
        configuration's `whole` weights it.
        """
        config = self.config
        if isinstance(self._maps, Student):
            with torch.no_grad():
                tokens = self.clip(extractor.stack([one.square for one in inputs], self.device), config.clip_layer)
            maps: Tensor = self._maps(tokens.levels, kind_indices([one.kind for one in inputs]))
            whole, joint = tokens.pooled, tokens.joint
        else:
            encoded = self._encode(inputs)
            maps = self._maps(encoded.latents, encoded.tokens, kinds=encoded.kinds)
            whole, joint = encoded.vectors, encoded.joint
        vectors = extractor.concatenate_weighted(extractor.max_pool(maps, inputs), whole, config.whole)
        return ModelOutput(maps, vectors, joint)

    @torch.no_grad()
    def _encode(self, inputs: Sequence[ModelInput]) -> Encoded:
        config = self.config
        low, high = config.vae_range
        squares = extractor.stack([one.square for one in inputs], self.device)
        shared = all(one.clip is one.square for one in inputs)
        crops = squares if shared else extractor.stack([one.clip for one in inputs], self.device)
        draws = config.fusion.ensemble if config.sample_latents else None
        latents = self.model.diffusion.encode(resize_square(squares, config.side) * (high - low) + low, draws)
        tokens = self.clip(crops, config.clip_layer)
        kinds = kind_indices([one.kind for one in inputs])
        return Encoded(latents, tokens.dense, tokens.pooled, tokens.joint, [one.frame for one in inputs], kinds)

    def save_pretrained(self, folder: str | Path) -> None:
        """Write the light weights, and a configuration that names the frozen parts by place and hash."""
        write_trained(Path(folder), asdict(self.config), self.light.state_dict(), self.heads)

    def push_to_hub(
        self, repository: str, private: bool = False, *, diffusion: str | None = None, clip: str | None = None
    ) -> str:
        """Upload what `save_pretrained` writes and a model card to a hub repository; give its address.

        `diffusion` and `clip` are the hub ids by which others get the frozen parts. Of a part that was loaded from a
        local folder, without an id, only the folder's own name is uploaded: who loads the weights says where it is.
        """
        public = replace(self.config, clip=clip or catalog.public_name(self.config.clip))
        if not public.student:
            public = replace(public, diffusion=diffusion or catalog.public_name(public.diffusion))
        with TemporaryDirectory() as folder:
            write_trained(Path(folder), asdict(public), self.light.state_dict(), self.heads)
            (Path(folder) / "README.md").write_text(model_card(public, self.dim, repository), encoding="utf-8")
            return upload(Path(folder), repository, private)


def model_card(config: FeaturesConfig, dim: int, repository: str) -> str:
    """Write the model card of light weights for a hub repository, in Markdown with the hub's metadata."""
    parts = {"Stable Diffusion": (config.diffusion, config.diffusion_hash), "CLIP": (config.clip, config.clip_hash)}
    how = "Light weights that fuse a frozen Stable Diffusion with a frozen CLIP"
    if config.student:
        del parts["Stable Diffusion"]
        how = "A student: light weights that read the features of a fused model off a frozen CLIP alone"
    bases, rows, fusion = "", "", config.fusion
    for part, (name, digest) in parts.items():
        card = catalog.CATALOG.get(name)
        home, licence = (card.repositories[0], card.licence) if isinstance(card, Card) else (name, "see its own page")
        bases += f"- {home}\n" if "/" in home else ""
        rows += f"| {part} | `{home}` | {licence} | `{digest}` |\n"
    return f"""---
library_name: sketchfusion
tags: [sketch, image-retrieval, correspondence]
{f"base_model:{chr(10)}{bases}" if bases else ""}---

# SketchFusion light weights for {config.task}

{how}, so that freehand sketches and photos can be
compared (SketchFusion, CVPR 2025). The frozen models are not part of this repository.

| frozen part | where | licence | SHA-256 of its weights |
|---|---|---|---|
{rows}
| setting | value |
|---|---|
| task | {config.task} |
| input | {config.side} x {config.side} px |
| map | {fusion.grid} x {fusion.grid} cells of {fusion.width} channels |
| embedding | {dim} numbers; weight of CLIP's own vector {config.whole:g} |
| timestep | {fusion.timestep} |
| noise draws | {fusion.ensemble} |

```python
from sketchfusion import SketchFusion

model = SketchFusion.from_pretrained("{repository}")
vectors = model.embed(["sketch.png"], kind="sketch")
```

Where a frozen part is not at the place above, name a folder that has it:
`from_pretrained(..., diffusion=DIR, clip=DIR)`.
"""


def pair_config(
    name: str, preset: Preset | None = None, *, diffusion: str | None = None, clip: str | None = None
) -> FeaturesConfig:
    """Configure a pair of the catalog, with other parts if given (and their sizes); WeightsError if it is none."""
    card = catalog.CATALOG.get(name)
    if not isinstance(card, FusedCard):
        pairs = ", ".join(card.name for card in catalog.CATALOG.values() if isinstance(card, FusedCard))
        raise WeightsError(
            f"{name!r} is not a pair of models to fuse; the catalog has {pairs}, and SD+CLIP joins any two by a plus"
        )
    if diffusion:
        card = catalog.sized_for(diffusion, card)
    fusion = FusionConfig(grid=card.grid, width=card.width)
    config = FeaturesConfig(card.diffusion, card.clip, side=card.side, fusion=fusion)
    if (preset or card.preset) == "as-released":
        config = as_released(config)
    packaged = (card.heads or "").startswith(PACKAGE)  # its CLIP is at hand, and says where it is to be read
    return with_parts(config, diffusion, clip or (card.clip if packaged else None))


def as_released(config: FeaturesConfig) -> FeaturesConfig:
    """Give the configuration with the choices of the authors' published code in place of the paper's."""
    fusion = replace(config.fusion, inject_skips=True, zero_init=False, cut_gradient=True)
    fusion = replace(fusion, dropout=0.5, ensemble=32, noise_seed=None)
    config = replace(config, view="as-released", vae_range=(0.0, 255.0), sample_latents=True)
    return replace(config, clip_layer=-1, fusion=fusion)


def with_parts(config: FeaturesConfig, diffusion: str | None = None, clip: str | None = None) -> FeaturesConfig:
    """Give the configuration with other frozen parts; a DINO in CLIP's place is read after its last block."""
    if diffusion:
        config = replace(
            config, diffusion=catalog.lasting_name(diffusion), diffusion_hash=folder_hash(catalog.locate(diffusion))
        )
    if clip:
        folder = catalog.locate(clip)
        layer = catalog.dense_layer(folder)
        if layer is not None and config.view == "as-released":
            layer = -1  # the released code reads CLIP after its last block too
        config = replace(config, clip=catalog.lasting_name(clip), clip_hash=folder_hash(folder), clip_layer=layer)
    return config


def find_light_weights(name: str) -> Path:
    """Find the folder of light weights of a catalog name, hub id or folder; WeightsError when there is none."""
    card = catalog.CATALOG.get(name)
    if isinstance(card, FusedCard) and card.heads:
        return resolve(card.heads)
    if isinstance(card, FusedCard):
        raise WeightsError(
            f"nobody has published light weights for {name!r}: make them with `sketchfusion train`, or use the "
            f"untrained {card.diffusion}+{card.clip} (B-SD+CLIP) on the same commands"
        )
    if card is not None or ("+" in name and not Path(name).exists()):
        raise WeightsError(f"{name!r} has no light weights, it is a baseline: load it with sketchfusion.load({name!r})")
    return resolve(name)


def find_task_folder(root: Path, task: str) -> Path:
    """Choose a task's light weights or the universal ones; a folder that is itself one set is returned as it is."""
    for candidate in (root, root / task, root / UNIVERSAL):
        if (candidate / CONFIG).is_file():
            return candidate
    tasks = sorted(path.parent.name for path in root.glob(f"*/{CONFIG}"))
    raise WeightsError(f"{root} has no light weights for {task!r}; it has {', '.join(tasks) or 'none'}")


def read_light_weights(folder: Path) -> tuple[FeaturesConfig, dict[str, Tensor]]:
    """Read configuration and light weights that `save_pretrained` wrote; WeightsError for any other folder."""
    settings, state = read_trained(folder)
    fusion = build(FusionConfig, settings.pop("fusion", {}), folder / CONFIG)
    return build(FeaturesConfig, {**settings, "fusion": fusion}, folder / CONFIG), state
