"""What GET /drift answers: the shape that the gateway writes and the report reads."""

from __future__ import annotations

import msgspec


class Figure(msgspec.Struct, frozen=True, kw_only=True):
    """One number of the inputs or of the answers, or the predicted labels.

    Args:
        name: of it.
        kind: "input", "output" or "labels".
        count: observations of the window that have it.
        ks, ks_chance, psi, psi_chance: see `gateway.drift.distance.Distance`; None where nothing was compared.
        score: 1 and more: drift.
        quantiles: of the window, 101 at 0, 1/100 … 1; empty for labels, or where no observation has it.
        reference: the same of the reference.
        shares, reference_shares: of each label.
    """

    name: str
    kind: str
    count: int = 0
    ks: float | None = None
    ks_chance: float | None = None
    psi: float | None = None
    psi_chance: float | None = None
    score: float | None = None
    quantiles: list[float] = []
    reference: list[float] = []
    shares: dict[str, float] = {}
    reference_shares: dict[str, float] = {}


class Point(msgspec.Struct, frozen=True, kw_only=True):
    """One look at the window.

    Args:
        at: UTC, ISO 8601.
        seen: observations ever.
        score: largest of all figures.
        alert: raised after this look.
        psi, ks: by figure.
    """

    at: str
    seen: int
    score: float
    alert: bool
    psi: dict[str, float]
    ks: dict[str, float]


class Share(msgspec.Struct, frozen=True, kw_only=True):
    """A share of cases with its 95 % interval; None where there is no case.

    Args:
        right, of: cases.
        low, high: Wilson's interval.
    """

    right: int
    of: int
    value: float | None
    low: float | None
    high: float | None


class Performance(msgspec.Struct, frozen=True, kw_only=True):
    """What radiologists said of the last answers.

    Args:
        count: answers that have a radiologist's label, of the last ones.
        total: ever.
        accuracy: of all labels.
        sensitivity, specificity: by label, one against the rest.
    """

    count: int
    total: int
    accuracy: Share
    sensitivity: dict[str, Share]
    specificity: dict[str, Share]


class Model(msgspec.Struct, frozen=True, kw_only=True):
    """One model's drift.

    Args:
        seen: observations ever.
        window: observations that are compared.
        effective: independent ones that they are worth; copies count little.
        versions: share of the window that each answered.
        reference: where it came from; None where nothing can be compared.
        items: that it was made from.
        alert: raised.
        since: when, UTC, ISO 8601; "" where it is not.
        reasons: sentences; empty without an alert.
        notes: sentences about what limits the comparison.
        figures: compared, or seen.
        history: looks since the reference was read, thinned.
        performance: None where nobody has sent a label yet.
    """

    seen: int
    window: int
    effective: float
    versions: dict[str, float]
    reference: str | None
    items: int
    alert: bool
    since: str
    reasons: list[str]
    notes: list[str]
    figures: list[Figure]
    history: list[Point]
    performance: Performance | None


class State(msgspec.Struct, frozen=True, kw_only=True):
    """Of all models.

    Args:
        at: UTC, ISO 8601.
        length: most observations of a window.
        alert: of any model.
        models: by name.
    """

    at: str
    length: int
    alert: bool
    models: dict[str, Model]
