"""The nine models as tests can afford them: tiny networks behind the same specs.

Tensors, labels, rules, manifests and configs are the real models'; their networks have eight channels, so that a server
of all nine is small and quick, and an export takes a second or two.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING

from export.models import all_specs
from export.spec import ModelSpec

if TYPE_CHECKING:
    from torch import nn

CHANNELS = 8


@cache
def tiny_specs() -> dict[str, ModelSpec]:
    """Every spec by name; the same tensors in all of them. The molecules' network is small enough as it is."""
    specs = all_specs()
    return specs | {name: _tiny(specs[name], build) for name, build in _BUILDS.items()}


def _tiny(spec: ModelSpec, build: Callable[[], nn.Module]) -> ModelSpec:
    return replace(spec, build=build, parameters=sum(parameter.numel() for parameter in build().parameters()))


def _convolutions(*strides: int) -> nn.Module:
    """[B, 3, H, W] to [B, CHANNELS, h, w], each step with BatchNorm and ReLU as in the real networks."""
    from torch import nn

    layers: list[nn.Module] = []
    for before, stride in zip((3, *[CHANNELS] * len(strides)), strides, strict=False):
        layers += [nn.Conv2d(before, CHANNELS, stride, stride), nn.BatchNorm2d(CHANNELS), nn.ReLU()]
    return nn.Sequential(*layers)


def _network(features: str, head: str, strides: tuple[int, ...], layers: Callable[[], nn.Module]) -> nn.Module:
    """A feature map and a head under the names that the spec gives them."""
    from torch import Tensor, nn

    class Tiny(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.add_module(features, _convolutions(*strides))
            self.add_module(head, layers())

        def forward(self, images: Tensor) -> Tensor:
            return self.get_submodule(head)(self.get_submodule(features)(images).mean((2, 3)))

    return Tiny()


def _linear(outputs: int) -> Callable[[], nn.Module]:
    def layers() -> nn.Module:
        from torch import nn

        return nn.Linear(CHANNELS, outputs)

    return layers


def _dropout(outputs: int, hidden: int = 16) -> Callable[[], nn.Module]:
    def layers() -> nn.Module:
        from torch import nn

        return nn.Sequential(nn.Linear(CHANNELS, hidden), nn.ReLU(), nn.Dropout(0.5), nn.Linear(hidden, outputs))

    return layers


def _staged(modalities: tuple[str, ...]) -> nn.Module:
    from export.nets.staged import FEATURES, StagedNet

    return StagedNet(modalities, 3, encoder=lambda: _network("layer4", "fc", _TO_7, _linear(FEATURES)))


_TO_7, _TO_64 = (4, 4, 2), (14,)  # of 224 and of 896 pixels
_BUILDS: dict[str, Callable[[], nn.Module]] = {
    "chest_xray": lambda: _network("layer4", "fc", _TO_7, _linear(4)),
    "pneumonia": lambda: _network("features", "classifier", _TO_7, _dropout(2)),
    "pneumonia_cnn": lambda: _network("features", "classifier", _TO_7, _dropout(2, hidden=24)),
    "skin_lesion": lambda: _network("layer4", "fc", _TO_7, _dropout(9)),
    "skin_lesion_medgemma": lambda: _network("vision_tower", "classifier", _TO_64, _dropout(7)),
    "brain_ct": lambda: _network("layer4", "fc", _TO_7, _linear(2)),
    "brain_mri": lambda: _staged(("mri",)),
    "brain_fusion": lambda: _staged(("ct", "mri")),
}
