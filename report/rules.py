"""The one place that evaluates decision rules. They are data, in the card; this is their meaning."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from report.card import Card, RiskLevel


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether a person must look, and every reason why.

    `risk_level` is the source project's word for how likely the answer is to be wrong; it says nothing
    of how ill anybody is. None where the model has no levels.
    """

    needs_review: bool
    review_reasons: tuple[str, ...]
    risk_level: str | None


def decide(card: Card, figures: Mapping[str, float], confidence: float | None) -> Decision:
    """Apply a model's rules to one answer.

    Args:
        card: the model's card.
        figures: of the answer, by the names in `card.declaration.summary_fields`.
        confidence: the highest probability, 0..1; None for a regression.
    """
    reasons: list[str] = []
    if not card.weights.trained:
        reasons.append("weights: untrained; the answer means nothing")
    threshold = card.declaration.review_below_confidence
    if threshold is not None and confidence is not None and confidence < threshold:
        reasons.append(f"confidence {confidence:.3f} is below {threshold:.2f}")
    reasons += [
        f"{name} {figures[name]:g} is above {bound:g}"
        for name, bound in card.declaration.review_above
        if figures[name] > bound
    ]
    level = _risk_level(card, figures, confidence)
    if level is not None and level.review:
        reasons.append(f"risk level {level.name}: the answer is likely to be wrong")
    return Decision(bool(reasons), tuple(reasons), level.name if level else None)


def _risk_level(card: Card, figures: Mapping[str, float], confidence: float | None) -> RiskLevel | None:
    """The first level that fits; None where the model has none."""
    if confidence is None:
        return None
    return next(
        (
            level
            for level in card.declaration.risk_levels
            if confidence > level.confidence_above and figures["uncertainty"] < level.uncertainty_below
        ),
        None,
    )
