"""What a model answered."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Prediction:
    """One answer: the server's report, and the arrays that it was made from.

    Args:
        model: that answered.
        report: the server's JSON object: findings, decisions, provenance.
        outputs: arrays by name, without the batch axis; `heatmap` is FP32 [h, w] in 0..1.
        processing_time_s: from sending to the answer, by this machine's clock.
    """

    model: str
    report: Mapping[str, Any]
    outputs: Mapping[str, NDArray[np.generic]]
    processing_time_s: float

    def to_dict(self) -> dict[str, Any]:
        """The report in the source projects' field names, JSON-safe, with `processing_time` in seconds."""
        return {**self.report, "processing_time": round(self.processing_time_s, 6)}

    @property
    def prediction(self) -> str | float:
        """The predicted label, or the number of a regression in `report["unit"]`."""
        value: str | float = self.report["prediction"]
        return value

    @property
    def confidence(self) -> float | None:
        """Probability of the predicted label, 0..1; None for a regression."""
        return self.report.get("confidence")

    @property
    def probabilities(self) -> Mapping[str, float]:
        """By label; empty for a regression."""
        return self.report.get("probabilities", {})

    @property
    def needs_review(self) -> bool:
        """Whether the model's rules ask for a person; `report["review_reasons"]` says why."""
        return bool(self.report["needs_review"])

    @property
    def provenance(self) -> Mapping[str, Any]:
        """What computed the answer: artefact digest, precision, trained or untrained weights."""
        found: Mapping[str, Any] = self.report["provenance"]
        return found
