"""The nine models as tests can afford them: the largest one in a small size."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

from torch import nn

from export.models import all_specs
from export.spec import ModelSpec

LARGE = "skin_lesion_medgemma"


def _small_medgemma() -> nn.Module:
    from export.nets.siglip import SiglipClassifier, TowerSize

    return SiglipClassifier(7, TowerSize(layers=2, width=64, mlp=128, heads=2))


@cache
def affordable_specs() -> dict[str, ModelSpec]:
    """Every spec by name; the same tensors in all of them."""
    small = replace(all_specs()[LARGE], build=_small_medgemma, parameters=367_367)
    return all_specs() | {LARGE: small}
