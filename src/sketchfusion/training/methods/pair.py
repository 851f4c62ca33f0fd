"""Which frozen parts are meant by a name, and at which sizes they are joined."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from ...backbones.catalog import CATALOG, FusedCard, locate
from ...features import FeaturesConfig, find_light, of_pair, of_task, read_light
from ...fusion import FusionConfig
from ...io.weights import WeightsError, folder_hash
from ...saved import checked, method_of


def pair_of(model: str, task: str) -> FeaturesConfig:
    """Give the pair of the catalog, of a folder that `pretrain` left, or that a folder of light weights stands on.

    WeightsError for anything else, or for parts that are no longer those that light weights were trained on.
    """
    if model in CATALOG:
        return replace(of_pair(model), task=task)
    if method := method_of(Path(model)):
        raise WeightsError(f"{model} was left by {method}; name the pair that it was trained on")
    if all((Path(model) / part).is_dir() for part in ("sd", "clip")):  # what `pretrain` leaves has the sizes of mini
        card, folder = CATALOG["mini"], Path(model).resolve()
        assert isinstance(card, FusedCard)
        sizes = FusionConfig(grid=card.grid, width=card.width)
        return FeaturesConfig(str(folder / "sd"), str(folder / "clip"), task=task, side=card.side, fusion=sizes)
    folder = find_light(model)
    config, _ = read_light(folder if (folder / "config.json").is_file() else of_task(folder, task))
    for part, expected in ((config.diffusion, config.diffusion_hash), (config.clip, config.clip_hash)):
        checked(folder_hash(locate(part)), expected, locate(part))
    return replace(config, task=task)
