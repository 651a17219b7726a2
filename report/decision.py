"""What a model's rules mean for one answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from report.rules import OperatingPoint, RiskLevel, Rules


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether a person must look, and every reason why.

    `risk_level` is the source project's word for how likely the answer is to be wrong; it says nothing
    of how ill anybody is. None where the model has no levels.
    """

    needs_review: bool
    review_reasons: tuple[str, ...]
    risk_level: str | None
    alerts: tuple[OperatingPoint, ...]


def decide(rules: Rules, figures: Mapping[str, float], confidence: float | None, *, trained: bool) -> Decision:
    """Apply a model's rules to one answer.

    Args:
        rules: the model's.
        figures: of the answer, by the names in `Declaration.summary_fields`.
        confidence: the highest probability, 0..1; None for a regression.
        trained: whether its weights were.
    """
    reasons: list[str] = []
    if not trained:
        reasons.append("weights: untrained; the answer means nothing")
    threshold = rules.review_below_confidence
    if threshold is not None and confidence is not None and confidence < threshold:
        reasons.append(f"confidence {confidence:.3f} is below {threshold:.2f}")
    reasons += [
        f"{name} {figures[name]:g} is above {bound:g}" for name, bound in rules.review_above if figures[name] > bound
    ]
    reasons += [
        f"{name} {figures[name]:g} is outside of {low:g} to {high:g}: nothing like it was measured"
        for name, low, high in rules.review_outside
        if not low <= figures[name] <= high
    ]
    alerts = tuple(point for point in rules.operating_points if figures[f"probability:{point.label}"] >= point.at_least)
    reasons += [
        f"{point.label}: probability {figures[f'probability:{point.label}']:.3f} is at or above {point.at_least:g}"
        for point in alerts
    ]
    level = _risk_level(rules.risk_levels, figures, confidence)
    if level is not None and level.review:
        reasons.append(f"risk level {level.name}: the answer is likely to be wrong")
    return Decision(bool(reasons), tuple(reasons), level.name if level else None, alerts)


def _risk_level(
    levels: tuple[RiskLevel, ...], figures: Mapping[str, float], confidence: float | None
) -> RiskLevel | None:
    """The first level that fits; None where the model has none."""
    if confidence is None:
        return None
    return next(
        (
            level
            for level in levels
            if confidence > level.confidence_above and figures["uncertainty"] < level.uncertainty_below
        ),
        None,
    )
