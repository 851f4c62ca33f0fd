"""The baseline CNN: a small residual network trained from scratch on sketches and photos, no foundation model in it."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional as F

from ..extractor import Device, Extractor, ModelInput, ModelOutput, pick_device, prepare_letterboxed, stack
from ..io.files import atomic_write, read_json
from ..io.images import ImageInput, Kind
from ..io.weights import PACKAGED, WeightsError, weights_hash
from ..saved import CONFIG, WEIGHTS

KIND = "scratch"


@dataclass(frozen=True)
class ScratchConfig:
    side: int = 64  # pixels of its input
    widths: tuple[int, ...] = (32, 64, 128, 192)  # channels of its blocks; each but the first halves the grid
    dim: int = 128  # length of an embedding


class ScratchBaseline(Extractor):
    """The small CNN as an extractor; sketches and photos go through the same weights."""

    dim: int = 0

    def __init__(self, net: "ScratchNet", config: ScratchConfig, name: str = KIND) -> None:
        self.net, self.config, self.name, self.side, self.dim = net.eval(), config, name, config.side, config.dim
        self.device = torch.device("cpu")

    @classmethod
    def load(cls, folder: str | Path | None = None, device: Device = None) -> Self:
        """Load the shipped weights, or those that `train retrieval --model scratch` left in a folder."""
        path = PACKAGED / KIND if folder is None else Path(folder)
        try:
            settings = json.loads((path / CONFIG).read_text())
            config = ScratchConfig(settings["side"], tuple(settings["widths"]), settings["dim"])
            net = ScratchNet(config)
            net.load_state_dict({name: tensor.float() for name, tensor in load_file(path / WEIGHTS).items()})
        except (OSError, ValueError, KeyError, TypeError, RuntimeError, SafetensorError) as error:
            reason = (str(error) or type(error).__name__).splitlines()[0]
            raise WeightsError(f"{path} holds no trained CNN: {reason}") from error
        model = cls(net, config, KIND if folder is None else str(folder))
        model.device = pick_device(device)
        model.net.to(model.device)
        return model

    def save(self, folder: Path) -> None:
        """Write configuration and half-precision weights into a folder."""
        state = self.net.state_dict()
        halves = {name: tensor.half() if tensor.is_floating_point() else tensor for name, tensor in state.items()}
        with atomic_write(folder / CONFIG) as config, atomic_write(folder / WEIGHTS) as weights:
            save_file({name: half.cpu().contiguous() for name, half in halves.items()}, weights, {"format": "pt"})
            config.write_text(json.dumps({"kind": KIND, **asdict(self.config)}, indent=2) + "\n")

    def prepare(self, image: ImageInput, kind: Kind) -> ModelInput:
        """Read and letterbox one picture, sketches by their whole page, as the network was trained on them."""
        return prepare_letterboxed(image, kind, self.side, whole_page=True)

    @property
    def fingerprint(self) -> str:
        return weights_hash(self.net)

    def forward(self, inputs: Sequence[ModelInput]) -> ModelOutput:
        maps = self.net.maps(stack([one.square for one in inputs], self.device))
        return ModelOutput(maps, self.net.embed(maps))


def is_scratch(folder: str | Path) -> bool:
    """Tell whether a folder holds a network of this kind."""
    return bool(read_json(Path(folder) / CONFIG).get("kind") == KIND)


class ScratchNet(nn.Module):
    """Squares (B, 3, S, S) in [0, 1] to maps (B, C, S / 16, S / 16) and embeddings (B, dim)."""

    def __init__(self, config: ScratchConfig) -> None:
        super().__init__()
        first = config.widths[0]
        self.stem = nn.Sequential(nn.Conv2d(3, first, 3, 2, 1, bias=False), nn.BatchNorm2d(first), nn.ReLU())
        pairs = zip((first, *config.widths), config.widths, strict=False)
        self.blocks = nn.Sequential(*(ResidualBlock(a, b, 2 if i else 1) for i, (a, b) in enumerate(pairs)))
        self.project = nn.Linear(config.widths[-1], config.dim)

    def maps(self, squares: Tensor) -> Tensor:
        maps: Tensor = self.blocks(self.stem((squares - 0.5) / 0.25))
        return maps

    def embed(self, maps: Tensor) -> Tensor:
        """Compute the embeddings of maps, not normalised."""
        projected: Tensor = self.project(maps.mean((2, 3)))
        return projected

    def forward(self, squares: Tensor) -> Tensor:
        return self.embed(self.maps(squares))


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions and a shortcut past them (He et al., 2016)."""

    def __init__(self, inward: int, outward: int, stride: int) -> None:
        super().__init__()
        self.path = nn.Sequential(
            nn.Conv2d(inward, outward, 3, stride, 1, bias=False),
            nn.BatchNorm2d(outward),
            nn.ReLU(),
            nn.Conv2d(outward, outward, 3, 1, 1, bias=False),
            nn.BatchNorm2d(outward),
        )
        self.shortcut = nn.Sequential(nn.Conv2d(inward, outward, 1, stride, bias=False), nn.BatchNorm2d(outward))

    def forward(self, maps: Tensor) -> Tensor:
        return F.relu(self.path(maps) + self.shortcut(maps))
