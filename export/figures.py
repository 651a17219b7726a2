"""Figures of one set of answers against another: errors, flips, lost calls, heat maps, and the truth where known."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from export.spec import ModelSpec
from report.comparison import CriticalCalls, Labelled
from report.decision import Decision, decide

Answers = Mapping[str, NDArray[np.float32]]
BINS = 15  # of the expected calibration error. Source: Guo et al., arXiv 1706.04599
UNLABELLED = -1


def errors(expected: Answers, got: Answers) -> dict[str, NDArray[np.float64]]:
    """|Δ| [N] of each output, the largest of an item; NaN counts as infinite."""
    found = {}
    for name, want in expected.items():
        difference = np.abs(want.astype(np.float64) - got[name].astype(np.float64))
        found[name] = np.nan_to_num(difference, nan=np.inf).reshape(len(want), -1).max(1)
    return found


def mean_errors(expected: Answers, got: Answers) -> dict[str, float]:
    """Mean |Δ| of each output over items and elements."""
    return {
        name: float(np.abs(want.astype(np.float64) - got[name].astype(np.float64)).mean())
        for name, want in expected.items()
    }


def flipped(expected: Answers, got: Answers) -> NDArray[np.bool_]:
    """[N], whether the label differs."""
    return expected["probabilities"].argmax(1) != got["probabilities"].argmax(1)


def margins(answers: Answers) -> NDArray[np.float32]:
    """[N], the gap between the two highest probabilities."""
    ordered = np.sort(answers["probabilities"], 1)
    return ordered[:, -1] - ordered[:, -2]


def calls(spec: ModelSpec, answers: Answers, label: str, *, within: float = 0.0) -> NDArray[np.bool_]:
    """[N], whether an answer reports the label: predicted, or at its operating point.

    Args:
        within: also count answers that miss it by less than this.
    """
    probabilities = answers["probabilities"]
    own = probabilities[:, spec.labels.index(label)]
    thresholds = [point.at_least for point in spec.rules.operating_points if point.label == label]
    reported = own > probabilities.max(1) - within if within else own >= probabilities.max(1)
    for threshold in thresholds:
        reported = reported | (own >= threshold - within)
    return np.asarray(reported)


def critical_calls(spec: ModelSpec, expected: Answers, got: Answers, tie: float) -> dict[str, CriticalCalls]:
    """By label, PyTorch's calls, and those that the variant misses by more than `tie`."""
    found = {}
    for label in spec.gate.critical:
        called = calls(spec, expected, label)
        missed = called & ~calls(spec, got, label)
        lost = called & ~calls(spec, got, label, within=tie)
        found[label] = CriticalCalls(calls=int(called.sum()), lost=int(lost.sum()), ties=int((missed & ~lost).sum()))
    return found


def correlations(expected: Answers, got: Answers) -> dict[str, float]:
    """Median Pearson correlation of each heat map over the items.

    Maps that are flat on both sides, as of a picture that was not sent, say nothing and are left out.
    """
    found = {}
    for name, want in expected.items():
        if not name.startswith("heatmap"):
            continue
        pairs = [(a, b) for a, b in zip(want, got[name], strict=True) if np.ptp(a) or np.ptp(b)]
        if pairs:
            found[name] = float(np.median([_pearson(a, b) for a, b in pairs]))
    return found


def _pearson(a: NDArray[np.float32], b: NDArray[np.float32]) -> float:
    x, y = (values.astype(np.float64).ravel() - values.mean(dtype=np.float64) for values in (a, b))
    scale = float(np.sqrt((x * x).sum() * (y * y).sum()))
    return float((x * y).sum() / scale) if scale else 0.0


def summarised(spec: ModelSpec, answers: Answers, summary: NDArray[np.float32]) -> NDArray[np.float32]:
    """[N, F], the spec's summary fields as the outputs have them.

    Args:
        spec: the model's declaration.
        answers: the model's outputs.
        summary: [N, 2 + F] of the artefact, for the figures that follow from the input alone.
    """
    fields = summary[:, 2:].copy()
    interval = spec.interval
    for place, name in enumerate(spec.summary_fields):
        if name.startswith("probability:"):
            fields[:, place] = answers["probabilities"][:, place]
        elif name in answers:
            fields[:, place] = answers[name][:, 0]
        elif interval and name in (interval.lower, interval.upper):
            fields[:, place] = answers["interval"][:, int(name == interval.upper)]
    return fields


def decisions(spec: ModelSpec, fields: NDArray[np.float32]) -> Iterator[Decision]:
    """What the report step would decide on each item of the summary fields [N, F]."""
    for row in fields.tolist():
        confidence = max(row[: len(spec.labels)]) if spec.labels else None
        yield decide(spec.rules, dict(zip(spec.summary_fields, row, strict=True)), confidence, trained=True)


def against_truth(spec: ModelSpec, expected: Answers, got: Answers, labels: NDArray[np.int64]) -> Labelled | None:
    """Both against the labels [N], UNLABELLED where there is none; None where nothing is labelled."""
    known = labels != UNLABELLED
    if not spec.labels or not known.any():
        return None
    truth = labels[known]
    both = [answers["probabilities"][known] for answers in (expected, got)]
    right = [probabilities.argmax(1) == truth for probabilities in both]
    only = [int((right[0] & ~right[1]).sum()), int((~right[0] & right[1]).sum())]
    return Labelled(
        pictures=int(known.sum()),
        accuracy=_pair(float(found.mean()) for found in right),
        sensitivity={
            spec.labels[label]: _pair(float(found[truth == label].mean()) for found in right)
            for label in np.unique(truth)
        },
        ece=_pair(ece(probabilities, truth) for probabilities in both),
        mcnemar_p=mcnemar_p(*only),
    )


def mcnemar_p(first: int, second: int) -> float:
    """Exact two-sided p-value of McNemar's test.

    Args:
        first, second: items that only the one, or only the other, got right.
    """
    count = first + second
    tail = sum(math.comb(count, wins) for wins in range(min(first, second) + 1))
    return min(1.0, 2 * tail / 2**count)


def _pair(values: Iterator[float]) -> tuple[float, float]:
    first, second = values
    return first, second


def ece(probabilities: NDArray[np.floating[Any]], labels: NDArray[np.int64]) -> float:
    """Expected calibration error, 0..1: mean gap between confidence and accuracy over BINS equal bins.

    Args:
        probabilities: [N, C].
        labels: [N], class indices.
    """
    confidence, right = probabilities.max(1), probabilities.argmax(1) == labels
    places = np.minimum((confidence * BINS).astype(int), BINS - 1)
    gaps = [abs(confidence[places == bin_].mean() - right[places == bin_].mean()) * (places == bin_).mean()
            for bin_ in np.unique(places)]  # fmt: skip
    return float(sum(gaps))
