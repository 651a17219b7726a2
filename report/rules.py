"""Decision rules as data. `report.decision` is the one place that evaluates them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class RiskLevel:
    """How likely an answer is to be wrong: the level that it has if it is sure enough.

    Both figures lie in 0..1: the defaults fit any answer. `review` sends answers of this level to a person.
    """

    name: str
    confidence_above: float = -1.0
    uncertainty_below: float = 2.0
    review: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatingPoint:
    """A finding that must not be missed: from this probability on it is reported beside the prediction.

    Whoever carries it goes to a person, whatever the predicted label.
    """

    label: str
    at_least: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Grade:
    """Names for the ranges of a figure in 0..1.

    Args:
        figure: of `summary`.
        names: lowest range first.
        bounds: between them; a figure on a bound belongs to the higher range.
    """

    figure: str
    names: tuple[str, ...]
    bounds: tuple[float, ...]

    def name_of(self, value: float) -> str:
        """The range that holds `value`."""
        return self.names[sum(value >= bound for bound in self.bounds)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """All rules of one model.

    Args:
        review_below_confidence: below it a person must look. The default is the house's rule for
            models whose source has none: an answer less likely than all others together is no answer.
        review_above: (figure of `summary`, bound): above it a person must look.
        review_outside: (figure of `summary`, lowest, highest) of what the model was measured on: beyond them a person
            must look.
        risk_levels: the first that fits an answer is its risk level; the last must fit any.
        operating_points: see OperatingPoint.
        grades: see Grade.
        not_applicable: (label, figures that mean nothing when it is the prediction).
    """

    review_below_confidence: float | None = 0.5
    review_above: tuple[tuple[str, float], ...] = ()
    review_outside: tuple[tuple[str, float, float], ...] = ()
    risk_levels: tuple[RiskLevel, ...] = ()
    operating_points: tuple[OperatingPoint, ...] = ()
    grades: tuple[Grade, ...] = ()
    not_applicable: tuple[tuple[str, tuple[str, ...]], ...] = ()
