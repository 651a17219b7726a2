"""What a model was sent, and what it answered, when it was exported: what later inputs are compared with."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class ReferenceDistribution:
    """Of real items alone.

    Args:
        source: name of the folder, or of the table, that they came from.
        items: how many.
        statistics: name → quantiles 0, 0.01 … 1 of what was sent.
        figures: the same of what PyTorch FP32 answered: confidence and uncertainty, or a regression's prediction.
        labels: share of each label among the answers; empty for a regression.
    """

    source: str
    items: int
    statistics: dict[str, tuple[float, ...]]
    figures: dict[str, tuple[float, ...]]
    labels: dict[str, float] = field(default_factory=dict)
