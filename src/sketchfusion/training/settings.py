"""Settings of a recipe as text: set by key, written down, and compared when a training is gone on with."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Any, TypeVar

Settable = TypeVar("Settable", bound=Any)


def with_settings(recipe: Settable, settings: dict[str, str], within: str = "") -> Settable:
    """A recipe with some settings replaced; ValueError for a key that it does not have or a value that cannot be.

    `part.key` sets a key of a recipe within the recipe, of which errors say what stood before it (`within`). A task's
    name may be spelt with a hyphen.
    """
    fields = {field.name: getattr(recipe, field.name) for field in dataclasses.fields(recipe)}
    for key, value in settings.items():
        outer, _, inner = key.partition(".")
        name, said = outer.replace("-", "_"), f"{within}{key}"
        part = fields.get(name)
        if part is None or dataclasses.is_dataclass(part) != bool(inner):
            raise ValueError(f"{said!r} is not a setting; choose from {', '.join(_names(recipe))}")
        if inner:
            part = with_settings(getattr(recipe, name), {inner: value}, f"{within}{outer}.")
            recipe = dataclasses.replace(recipe, **{name: part})
            continue
        try:
            read = _READ.get(type(part), type(part))(value)
        except (ValueError, KeyError):
            raise ValueError(f"{said}={value!r} is not a {type(part).__name__}") from None
        if isinstance(read, float) and not math.isfinite(read):
            raise ValueError(f"'{said}={value}' must be a finite number")
        if name in _LEAST and not read >= _LEAST[name]:
            raise ValueError(f"'{said}={value}' must be at least {_LEAST[name]}")
        if name in _MOST and not read <= _MOST[name]:
            raise ValueError(f"'{said}={value}' must be at most {_MOST[name]}")
        recipe = dataclasses.replace(recipe, **{name: read})
    return recipe


# A name means the same in every recipe, in the shape of the light parts, and in how features are made of them.
_LEAST: dict[str, float] = {
    **dict.fromkeys(("steps", "accumulate", "batch", "classes", "things", "views", "per_class", "full_per_class"), 1),
    **dict.fromkeys(("per_kind", "world_instances", "grid", "ensemble"), 1),
    **dict.fromkeys(("lr", "weight_decay", "warmup", "patience", "seconds", "validate_every", "validation_batches"), 0),
    **dict.fromkeys(("warps", "drawn", "aligned", "timestep", "whole", "quarters", "dropout", "seed"), 0),
    **dict.fromkeys(("margin", "contrast", "naming", "smoothing", "flow", "absent", "full_size_after"), 0),
    **dict.fromkeys(("retrieval", "instance_retrieval", "recognition", "correspondence", "segmentation"), 0),
    "width": 4,
    "temperature": 1e-3,
}
_MOST: dict[str, float] = {
    "timestep": 999,  # the last one that diffusion models are trained on
    "seed": 10**9,
    "lr": 1,
    **dict.fromkeys(("smoothing", "absent", "full_size_after", "dropout"), 1),
}

_READ: dict[type, Callable[[str], Any]] = {
    bool: lambda value: {"true": True, "false": False}[value.lower()],
    tuple: lambda value: tuple(value.split("+")),
}


def as_text(recipe: Any) -> dict[str, str]:
    """Every setting of a recipe by the key that `with_settings` takes, as text."""
    found: dict[str, str] = {}
    for field in dataclasses.fields(recipe):
        value = getattr(recipe, field.name)
        inner = as_text(value) if dataclasses.is_dataclass(value) else None
        found |= {field.name: str(value)} if inner is None else {f"{field.name}.{key}": of for key, of in inner.items()}
    return found


# Settings that a resumed training may change: how long it goes on, what it is validated on, how often it is kept.
FREE = ("steps", "patience", "seconds", "validate_every", "validation_batches", "checkpoint_seconds")


def shaping(recipe: Any) -> dict[str, str]:
    """Give, as text, the settings of a recipe that a checkpoint must have been made with to be gone on with."""
    return {key: value for key, value in as_text(recipe).items() if key.rpartition(".")[2] not in FREE}


def _names(recipe: Any) -> list[str]:
    values = {field.name: getattr(recipe, field.name) for field in dataclasses.fields(recipe)}
    return [f"{name}.*" if dataclasses.is_dataclass(value) else name for name, value in values.items()]
