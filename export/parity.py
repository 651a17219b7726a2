"""The gate: an artefact's answers against PyTorch FP32, held to the bounds of the precision that computed them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from export import figures
from export.engines import EngineFailed, Kind, Ran, run
from export.figures import Answers
from export.pictures import Items
from export.spec import ModelSpec
from export.verdict import broken, unshown
from report.comparison import Comparison
from server.machine import cpu_features

SAME = 1e-5  # an output and its copy in `summary`: engines may compute the two apart
Fingerprint = tuple[int, int]


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

    def comparisons(
        self, file: Path, precision: str, engines: Sequence[Kind], fingerprint: Fingerprint
    ) -> tuple[Comparison, ...]:
        """One for each engine; one that cannot run the file is refused like any other failure."""
        return tuple(self._comparison(file, precision, engine, fingerprint) for engine in engines)

    def _comparison(self, file: Path, precision: str, engine: Kind, fingerprint: Fingerprint) -> Comparison:
        try:
            ran = run(self.spec, file, engine, precision, self.items.inputs)
        except EngineFailed as exc:
            return Comparison(
                engine=engine, precision=precision, samples=0, max_error={}, mean_error={}, refused=(str(exc),)
            )
        found = compare(self.spec, self.expected, ran, self.items, fingerprint)
        if not found.max_error or not set(found.refused) - set(unshown(self.spec, found, self.items)):
            return found  # sound, or malformed, or refused only because the items show too little
        from export.suspects import named  # imports torch, which plans are compared without

        fault = named(self.spec.outputs[0].name, self.expected, ran.answers, self.suspects())
        return (
            replace(found, refused=(*found.refused, f"these are the answers of a network where {fault}"))
            if fault
            else found
        )


def compare(spec: ModelSpec, expected: Answers, ran: Ran, items: Items, fingerprint: Fingerprint) -> Comparison:
    """Measure one engine's answers and judge them.

    Args:
        spec: the model's declaration, with its bounds.
        expected: PyTorch's outputs by name, [N, ...].
        ran: the artefact's.
        items: what both answered.
        fingerprint: that the artefact was given: reports find its card by it.
    """
    if malformed := _malformed(spec, expected, ran.answers):
        return Comparison(
            engine=ran.engine, precision=ran.precision, samples=len(items), max_error={}, mean_error={},
            refused=tuple(malformed),
        )  # fmt: skip
    bounds = spec.gate.bounds(ran.precision)
    found = _measured(spec, expected, ran)
    if spec.labels:
        found = _with_labels(spec, found, expected, ran.answers, items, bounds.tie)
    contradicting = _contradicting(spec, ran.answers, fingerprint)
    return replace(found, refused=(*contradicting, *broken(found, bounds), *unshown(spec, found, items)))


def _measured(spec: ModelSpec, expected: Answers, ran: Ran) -> Comparison:
    summary = ran.answers[spec.summary.name]
    wanted = figures.decisions(spec, figures.summarised(spec, expected, summary))
    pairs = list(zip(wanted, figures.decisions(spec, summary[:, 2:]), strict=True))
    levels = {level.name: place for place, level in enumerate(spec.rules.risk_levels)}  # lowest first
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
        lowered_risks=sum(levels.get(b.risk_level or "", 0) < levels.get(a.risk_level or "", 0) for a, b in pairs),
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


def _malformed(spec: ModelSpec, expected: Answers, got: Answers) -> list[str]:
    """Names, then shapes."""
    shapes = {output.name: expected[output.name].shape for output in spec.outputs}
    shapes |= {spec.summary.name: (len(expected[spec.outputs[0].name]), *spec.summary.dims)}
    wrong = []
    for name, shape in shapes.items():
        if name not in got:
            wrong.append(f"{name}: expected it, the file has {', '.join(got)}")
        elif got[name].shape != shape:
            wrong.append(f"{name}: shape: expected {shape}, got {got[name].shape}")
    return wrong


def _contradicting(spec: ModelSpec, got: Answers, fingerprint: Fingerprint) -> list[str]:
    """What reports are written from must be what callers get, and must lead to the artefact's card."""
    summary = got[spec.summary.name]
    wrong = []
    if found := {tuple(row) for row in summary[:, :2].tolist()} - {tuple(map(float, fingerprint))}:
        wrong.append(f"{spec.summary.name}: expected the fingerprint {fingerprint}, got {min(found)}")
    apart = np.abs(figures.summarised(spec, got, summary) - summary[:, 2:]).max(0)
    wrong += [
        f"{spec.summary.name}: {name}: expected the output's own figure within {SAME:g}, got one {error:.3g} away"
        for name, error in zip(spec.summary_fields, apart, strict=True)
        if error > SAME
    ]
    return wrong
