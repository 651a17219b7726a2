"""What is told of one model: distances as of the last look, quantiles and shares as of now."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

import gateway.drift.sentences as sentences
import gateway.drift.state as state
from gateway.drift.alarm import CALM_BELOW
from gateway.drift.distance import Distance
from gateway.drift.reference import LEVELS, Key, Reference
from gateway.drift.watched import LEAST, Watched


def summary(of: Watched, performance: state.Performance | None) -> state.Model:
    """One model's drift."""
    window, reference = of.window, of.reference
    figures = _figures(of)
    return state.Model(
        seen=window.seen,
        window=len(window),
        effective=window.size,
        versions={version: count / len(window) for version, count in sorted(window.versions().items())},
        reference=reference.source if reference else None,
        items=reference.items if reference else 0,
        alert=of.alert,
        since=of.since,
        reasons=_reasons(of, reference) if reference and of.alert else [],
        notes=sentences.notes(reference, of.refused, window, LEAST),
        figures=figures,
        history=of.history.points(),
        performance=performance,
    )


def _reasons(of: Watched, reference: Reference) -> list[str]:
    """Farthest first. What would end the alert is not among them."""
    far = sorted((key for key in of.distances if of.distances[key].score >= CALM_BELOW), key=lambda key: _far(of, key))
    found = [
        sentences.of_figure(key[1], of.distances[key], of.window.values(key), reference.figures[key]) for key in far
    ]
    if of.labels and of.labels.score >= CALM_BELOW:
        found.append(sentences.of_labels(of.labels, of.window.labels(), reference))
    return found or [
        "No figure is far from the reference any more; the alert ends after a few more answers like these."
    ]


def _far(of: Watched, key: Key) -> float:
    return -of.distances[key].score


def _figures(of: Watched) -> list[state.Figure]:
    keys = {**(of.reference.figures if of.reference else {}), **dict.fromkeys(of.window.keys())}
    labels = of.window.labels() or (of.reference and of.reference.labels)
    return [_figure(of, key) for key in keys] + ([_labels(of)] if labels else [])


def _figure(of: Watched, key: Key) -> state.Figure:
    values = of.window.values(key)
    compared = of.reference.figures.get(key) if of.reference else None
    return state.Figure(
        name=key[1],
        kind=key[0],
        count=len(values),
        quantiles=_quantiles(values),
        reference=_short(compared.quantiles) if compared else [],
        **_numbers(of.distances.get(key)),
    )


def _labels(of: Watched) -> state.Figure:
    counts = of.window.labels()
    return state.Figure(
        name="label",
        kind="labels",
        count=counts.total(),
        shares={name: counts[name] / counts.total() for name in sorted(counts)},
        reference_shares=dict(of.reference.labels) if of.reference else {},
        **_numbers(of.labels),
    )


def _quantiles(values: NDArray[np.float64]) -> list[float]:
    """JSON knows no infinity."""
    finite = values[np.isfinite(values)]
    return _short(np.quantile(finite, LEVELS)) if len(finite) else []


def _short(values: NDArray[np.float64]) -> list[float]:
    """As many digits as a plot can show."""
    return [float(f"{value:.6g}") for value in values.tolist()]


def _numbers(distance: Distance | None) -> dict[str, Any]:
    if distance is None:
        return {}
    return {
        "ks": distance.ks,
        "ks_chance": distance.ks_chance,
        "psi": distance.psi,
        "psi_chance": distance.psi_chance,
        "score": distance.score,
    }
