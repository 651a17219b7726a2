"""What real items are like, and what the network answers them: kept in the card, so that other items can be told."""

from __future__ import annotations

import json
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from export.artefact import WEIGHTS
from export.pictures import Items
from export.spec import ModelSpec, Shipped
from report.reference import ReferenceDistribution

QUANTILES = np.linspace(0.0, 1.0, 101)
_DIGITS = 6  # significant


def reference_distribution(
    spec: ModelSpec, items: Items, answers: Mapping[str, NDArray[np.generic]]
) -> ReferenceDistribution | None:
    """None where the items were generated: they are like nothing that anybody sends.

    Args:
        spec: the model's declaration.
        items: that were compared.
        answers: PyTorch's, by output name, [N, ...].
    """
    if items.origin.synthetic:
        return None
    statistics = dict(zip(spec.step.statistics, items.statistics.T, strict=True))
    return ReferenceDistribution(
        source=items.origin.source,
        items=len(items),
        statistics={name: quantiles(values) for name, values in statistics.items()},
        figures={name: quantiles(values) for name, values in _figures(spec, answers).items()},
        labels=_shares(spec, answers),
    )


def shipped_reference(shipped: Shipped) -> ReferenceDistribution:
    """Of the items that the repository's own weights were trained and judged on: `export.training` wrote it."""
    figures = json.loads((WEIGHTS / shipped.file).with_suffix(".json").read_text("utf-8"))
    return ReferenceDistribution(**figures["reference"])


def _figures(spec: ModelSpec, answers: Mapping[str, NDArray[np.generic]]) -> dict[str, NDArray[np.generic]]:
    if spec.labels:
        return {"confidence": answers["probabilities"].max(axis=1), "uncertainty": answers["uncertainty"].ravel()}
    return {"prediction": answers[spec.figures[0]].ravel()}


def _shares(spec: ModelSpec, answers: Mapping[str, NDArray[np.generic]]) -> dict[str, float]:
    if not spec.labels:
        return {}
    predicted = answers["probabilities"].argmax(axis=1)
    return {label: float(np.mean(predicted == index)) for index, label in enumerate(spec.labels)}


def quantiles(values: NDArray[np.generic]) -> tuple[float, ...]:
    """Of the finite ones, at QUANTILES; none of none."""
    finite = values[np.isfinite(values)]
    found = np.quantile(finite, QUANTILES) if len(finite) else []
    return tuple(float(f"{value:.{_DIGITS}g}") for value in found)
