"""The rooms: one file a model, holding SPEC and build(). The directory is the registry."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from importlib import import_module
from pkgutil import iter_modules

from export.spec import ModelSpec


@cache
def all_specs() -> dict[str, ModelSpec]:
    """Every room's SPEC by name, sorted. Imports no torch.

    Raises:
        ValueError: a room whose SPEC is not named like its file.
    """
    specs: dict[str, ModelSpec] = {}
    for module in sorted(iter_modules(__path__), key=lambda found: found.name):
        spec = import_module(f"{__name__}.{module.name}").SPEC
        if spec.name != module.name:
            raise ValueError(f"export/models/{module.name}.py: SPEC.name: expected {module.name!r}, got {spec.name!r}")
        specs[spec.name] = spec
    return specs


def select(names: Sequence[str]) -> list[ModelSpec]:
    """The specs of these names in this order.

    Raises:
        ValueError: an unknown name; the message lists the valid ones.
    """
    specs = all_specs()
    unknown = [name for name in names if name not in specs]
    if unknown:
        raise ValueError(f"MODELS: expected some of {', '.join(specs)}; got {', '.join(unknown)}")
    return [specs[name] for name in names]
