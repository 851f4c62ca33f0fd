"""CLIP enters the UNet: one 1x1 convolution per stage (paper Sec. 5.1, "CLIP Feature Injection")."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn
from torch.nn import functional as F

from .stretch import Stretch


class Injection(nn.Module):
    """What is added to each stage: CLIP's patch tokens through that stage's 1x1 convolution, resized to fit.

    Zero-initialised, so that an untrained injection leaves Stable Diffusion exactly as it is; with
    `zero_init=False` it starts from PyTorch's default instead. Without convolutions CLIP's channels are interpolated to
    those of the stage ("w/o Convolutions" of the paper's table 6), and nothing is learnt.
    """

    def __init__(
        self, clip_channels: int, stages: Mapping[str, int], zero_init: bool = True, convolutions: bool = True
    ) -> None:
        """Make one convolution for each stage name, from CLIP's width to that stage's channels."""
        super().__init__()
        self.convs = nn.ModuleDict(
            {
                name: nn.Conv2d(clip_channels, channels, kernel_size=1) if convolutions else Stretch(channels)
                for name, channels in stages.items()
            }
        )
        if zero_init:
            for parameter in self.parameters():
                nn.init.zeros_(parameter)

    def forward(self, tokens: Tensor, sizes: Mapping[str, tuple[int, int]]) -> dict[str, Tensor]:
        """Give the maps (B, C_stage, h, w) to add, for tokens (B, C, h', w') and the (h, w) of each stage.

        The convolution runs at CLIP's resolution, where there is less to do; being 1x1 it commutes with the resize.
        """
        return {
            name: F.interpolate(conv(tokens), sizes[name], mode="bilinear", align_corners=False)
            for name, conv in self.convs.items()
        }
