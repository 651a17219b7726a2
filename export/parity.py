"""The gate: an artefact's answers against PyTorch FP32, held to the bounds of the precision that computed them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from export import figures
from export.engines import EngineFailed, Kind, Ran, run
from export.figures import Answers
from export.pictures import Items
from export.spec import Bounds, ModelSpec
from export.suspects import named
from report.comparison import Comparison
from server.machine import cpu_features


class ParityError(ValueError):
    """An artefact that does not compute what PyTorch computes. It is not published."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """What every artefact of a model is held to.

    Args:
        spec: the model's declaration, with its bounds.
        expected: PyTorch's FP32 answers to `items`, by output, [N, ...].
        items: see Items.
        suspects: what networks with known faults would have answered; asked for only after a failure.
    """

    spec: ModelSpec
    expected: Answers
    items: Items
    suspects: Callable[[], Mapping[str, Answers]] = dict

    def comparisons(self, file: Path, precision: str, engines: Sequence[Kind]) -> tuple[Comparison, ...]:
        """One for each engine; one that cannot run the file is refused like any other failure."""
        return tuple(self._comparison(file, precision, engine) for engine in engines)

    def _comparison(self, file: Path, precision: str, engine: Kind) -> Comparison:
        try:
            ran = run(self.spec, file, engine, precision, self.items.inputs)
        except EngineFailed as exc:
            return Comparison(
                engine=engine, precision=precision, samples=0, max_error={}, mean_error={}, refused=(str(exc),)
            )
        found = compare(self.spec, self.expected, ran, self.items)
        if not found.refused or not found.max_error:
            return found
        fault = named(self.spec.outputs[0].name, self.expected, ran.answers, self.suspects())
        return (
            replace(found, refused=(*found.refused, f"these are the answers of a network where {fault}"))
            if fault
            else found
        )


def compare(spec: ModelSpec, expected: Answers, ran: Ran, items: Items) -> Comparison:
    """Measure one engine's answers and judge them.

    Args:
        spec: the model's declaration, with its bounds.
        expected: PyTorch's outputs by name, [N, ...].
        ran: the artefact's.
        items: what both answered.
    """
    if malformed := tuple(_malformed(spec, expected, ran.answers)):
        return Comparison(
            engine=ran.engine, precision=ran.precision, samples=len(items), max_error={}, mean_error={},
            refused=malformed,
        )  # fmt: skip
    bounds = spec.gate.bounds(ran.precision)
    found = _measured(spec, expected, ran)
    if spec.labels:
        found = _with_labels(spec, found, expected, ran.answers, items, bounds.tie)
    return replace(found, refused=tuple(judge(spec, found, bounds)))


def _measured(spec: ModelSpec, expected: Answers, ran: Ran) -> Comparison:
    summary = ran.answers[spec.summary.name]
    decided = [figures.decisions(spec, answers, summary) for answers in (expected, ran.answers)]
    pairs = list(zip(*decided, strict=True))
    return Comparison(
        engine=ran.engine,
        precision=ran.precision,
        samples=len(summary),
        cpu=cpu_features(),
        max_error={name: float(each.max()) for name, each in figures.errors(expected, ran.answers).items()},
        mean_error=figures.mean_errors(expected, ran.answers),
        review_flips=sum(a.needs_review != b.needs_review for a, b in pairs),
        lost_reviews=sum(a.needs_review and not b.needs_review for a, b in pairs),
        risk_flips=sum(a.risk_level != b.risk_level for a, b in pairs),
        heatmap_correlation=figures.correlations(expected, ran.answers),
    )


def _with_labels(
    spec: ModelSpec, found: Comparison, expected: Answers, got: Answers, items: Items, tie: float
) -> Comparison:
    flips = figures.flipped(expected, got)
    drift = got["uncertainty"].astype(np.float64) - expected["uncertainty"]
    return replace(
        found,
        label_flips=int(flips.sum()),
        ties=int((flips & (figures.margins(expected) < tie)).sum()),
        critical=figures.critical_calls(spec, expected, got, tie),
        uncertainty_drift=float(drift.mean()),
        labelled=figures.against_truth(spec, expected, got, items.labels),
    )


def judge(spec: ModelSpec, found: Comparison, bounds: Bounds) -> list[str]:
    """Why these figures may not be published: a sentence for each bound that they break."""
    where = f"{found.precision} on {found.engine}, {found.samples} samples"
    broken = []
    for name, error in found.max_error.items():
        bound = bounds.heatmap if name.startswith("heatmap") else bounds.largest
        if not error <= bound or math.isinf(error):  # NaN counts as infinite, and fails where there is no bound
            broken.append(f"{where}: {name}: expected max |Δ| ≤ {bound:g}, got {error:.3g}")
    prediction = spec.outputs[0].name
    if not found.mean_error[prediction] <= bounds.mean:
        broken.append(
            f"{where}: {prediction}: expected mean |Δ| ≤ {bounds.mean:g}, got {found.mean_error[prediction]:.3g}"
        )
    allowed = int(bounds.flips * found.samples)
    if found.label_flips - found.ties > allowed:
        broken.append(
            f"{where}: labels: expected at most {allowed} to flip beyond ties of {bounds.tie:g}, "
            f"got {found.label_flips - found.ties}"
        )
    broken += [
        f"{where}: {label}: expected none of {calls.calls} calls to be lost, got {calls.lost}"
        for label, calls in found.critical.items()
        if calls.lost
    ]
    broken += [
        f"{where}: {name}: expected a median correlation ≥ {bounds.correlation:g}, got {value:.3f}"
        for name, value in found.heatmap_correlation.items()
        if not value >= bounds.correlation
    ]
    return broken


def _malformed(spec: ModelSpec, expected: Answers, got: Answers) -> list[str]:
    """Names, then shapes."""
    wrong = []
    for output in spec.outputs:
        if output.name not in got:
            wrong.append(f"{output.name}: expected it, the file has {', '.join(got)}")
        elif got[output.name].shape != expected[output.name].shape:
            wrong.append(f"{output.name}: shape: expected {expected[output.name].shape}, got {got[output.name].shape}")
    return wrong
