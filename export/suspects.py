"""Faults that exporters are known to make, and what a network with each would have answered.

A gate says that answers differ; if they are the answers of one of these, it can say why.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from export.figures import Answers
from export.graphs.parts import IMAGENET_MEAN, IMAGENET_STD
from export.pictures import Items
from export.references import reference
from export.spec import ModelSpec

FACTORS = (0.5, 0.9, 1.1, 2.0)
FEW = 4  # items: enough to tell one fault from another
_MEAN, _STD = (np.array(values, np.float32).reshape(1, 3, 1, 1) for values in (IMAGENET_MEAN, IMAGENET_STD))
CLEARER = 0.3  # share of the honest difference that a suspect may leave, to be named


def suspects(net: nn.Module, spec: ModelSpec, items: Items, temperature: float) -> dict[str, Answers]:
    """PyTorch's answers to the first FEW items, had this been done; empty for what takes no picture.

    Args:
        net: the network, sound.
        spec: the model's declaration.
        items: what was compared.
        temperature: that belongs into the graph.
    """
    few = {name: array[:FEW] for name, array in items.inputs.items()}
    if not spec.explained:
        return {}
    found: dict[str, Answers] = {
        sentence: reference(net, spec, _changed(spec, few, change), temperature)
        for sentence, change in _CHANGES.items()
    }
    for factor in FACTORS:
        scaled = _scaled(net, spec, factor)
        found[f"the weights were scaled by {factor:g}"] = reference(scaled, spec, few, temperature)
    if temperature != 1.0:
        found["the temperature was dropped"] = reference(net, spec, few, 1.0)
    return found


def _scaled(net: nn.Module, spec: ModelSpec, factor: float) -> nn.Module:
    """A copy whose kernels, before the head, are larger by a factor; normalisations and biases as they were."""
    copied = copy.deepcopy(net)
    with torch.no_grad():
        for name, weight in copied.named_parameters():
            if weight.ndim > 1 and not (spec.head and name.startswith(f"{spec.head}.")):
                weight.mul_(factor)
    return copied


def named(prediction: str, expected: Answers, got: Answers, known: Mapping[str, Answers]) -> str:
    """The suspect whose answers these are; "" where they are nobody's."""
    if not known:
        return ""
    honest = _distance(prediction, expected, got)
    closest = min(known, key=lambda sentence: _distance(prediction, known[sentence], got))
    return closest if _distance(prediction, known[closest], got) < CLEARER * honest else ""


def _distance(prediction: str, one: Answers, other: Answers) -> float:
    count = min(FEW, len(one[prediction]), len(other[prediction]))
    return float(np.abs(one[prediction][:count].astype(np.float64) - other[prediction][:count]).mean())


def _changed(
    spec: ModelSpec,
    inputs: Mapping[str, NDArray[np.generic]],
    change: Callable[[NDArray[np.generic]], NDArray[np.generic]],
) -> dict[str, NDArray[np.generic]]:
    pixels = {picture.pixels for picture in spec.explained}
    return {name: change(array) if name in pixels else array for name, array in inputs.items()}


def _swapped(pixels: NDArray[np.generic]) -> NDArray[np.generic]:
    return np.ascontiguousarray(pixels[:, ::-1])


def _swapped_late(pixels: NDArray[np.generic]) -> NDArray[np.generic]:
    """Pixels that normalisation turns into what it should have been, with red and blue swapped."""
    return ((((pixels.astype(np.float32) / 255 - _MEAN) / _STD)[:, ::-1]) * _STD + _MEAN) * 255


def _unnormalised(pixels: NDArray[np.generic]) -> NDArray[np.generic]:
    """Pixels that normalisation turns into plain 0..1."""
    return (pixels.astype(np.float32) / 255 * _STD + _MEAN) * 255


_CHANGES: Mapping[str, Callable[[NDArray[np.generic]], NDArray[np.generic]]] = {
    "red and blue were swapped": _swapped,
    "red and blue were swapped behind the normalisation": _swapped_late,
    "the normalisation was forgotten": _unnormalised,
    "the pictures were black": np.zeros_like,
}
