"""The nine models as tests can afford them: each one's declaration with a tiny network behind it.

Tensors, labels, rules and heat maps are those of the real models, and so are cards and config.pbtxt.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache, partial
from typing import TYPE_CHECKING

from export.models import all_specs
from export.spec import ModelSpec

if TYPE_CHECKING:
    from torch import nn

LARGE = "skin_lesion_medgemma"


def _small_medgemma() -> nn.Module:
    from export.nets.siglip import SiglipClassifier, TowerSize

    return SiglipClassifier(7, TowerSize(layers=2, width=64, mlp=128, heads=2))


@cache
def affordable_specs() -> dict[str, ModelSpec]:
    """Every spec by name with its real network; the largest one in a small size."""
    small = replace(all_specs()[LARGE], build=_small_medgemma, parameters=367_367)
    return all_specs() | {LARGE: small}


def _tiny_resnet(classes: int) -> nn.Module:
    from torch import nn

    from tests.support.tiny_nets import WIDTH, TinyResNet, spread

    return spread(TinyResNet(nn.Linear(WIDTH, classes)))


def _tiny_resnet_with_dropout(classes: int) -> nn.Module:
    from torch import nn

    from tests.support.tiny_nets import WIDTH, TinyResNet, spread

    return spread(TinyResNet(nn.Sequential(nn.Linear(WIDTH, 16), nn.ReLU(), nn.Dropout(0.5), nn.Linear(16, classes))))


def _tiny_efficientnet(classes: int) -> nn.Module:
    from torch import nn

    from tests.support.tiny_nets import WIDTH, TinyFeatures, spread

    return spread(TinyFeatures(nn.Sequential(nn.Dropout(0.2), nn.Linear(WIDTH, classes))))


def _tiny_cnn(classes: int) -> nn.Module:
    from torch import nn

    from tests.support.tiny_nets import WIDTH, TinyFeatures, spread

    return spread(TinyFeatures(nn.Sequential(nn.Linear(WIDTH, 16), nn.ReLU(), nn.Dropout(0.5), nn.Linear(16, classes))))


def _tiny_tower(classes: int) -> nn.Module:
    from torch import nn

    from tests.support.tiny_nets import WIDTH, TinyTower, spread

    return spread(TinyTower(nn.Sequential(nn.Dropout(0.1), nn.Linear(WIDTH, classes))), side=896)


def _tiny_staged(*modalities: str) -> Callable[[int], nn.Module]:
    def build(classes: int) -> nn.Module:
        from tests.support.tiny_nets import TinyStaged, spread

        return spread(TinyStaged(modalities, classes))

    return build


_TINY: dict[str, tuple[Callable[[int], nn.Module], int]] = {  # and how many parameters
    "brain_ct": (_tiny_resnet, 3_706),
    "brain_fusion": (_tiny_staged("ct", "mri"), 41_237),
    "brain_mri": (_tiny_staged("mri"), 20_653),
    "chest_xray": (_tiny_resnet, 3_724),
    "pneumonia": (_tiny_efficientnet, 3_706),
    "pneumonia_cnn": (_tiny_cnn, 3_866),
    "skin_lesion": (_tiny_resnet_with_dropout, 3_985),
    LARGE: (_tiny_tower, 4_783),
}


@cache
def tiny_specs() -> dict[str, ModelSpec]:
    """Every spec by name with a tiny network; `solubility` as it is, with the weights that the repository ships."""
    tiny = {
        name: replace(all_specs()[name], build=partial(build, len(all_specs()[name].labels)), parameters=parameters)
        for name, (build, parameters) in _TINY.items()
    }
    return all_specs() | tiny
