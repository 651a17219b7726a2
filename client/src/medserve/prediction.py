"""What a model answered."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from PIL import Image


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """What computed an answer. Source: the report, field by field.

    Args:
        model_version: Triton's.
        artefact: file name of the network that ran, or that its plan was built from.
        artefact_sha256: of that file.
        precision: that its encoder was computed in.
        trained: False: random weights, and the answer means nothing.
        checkpoint_sha256: of the source project's file; None for untrained weights.
        temperature: of the probabilities; 1.0 where it was never fitted.
        calibrated: whether it was fitted.
        preprocessing: version of the step that read the file.
        published_anyway: why somebody serves what the gate refused; "" where it passed.
        plans: TensorRT plan → sha256, of those that may have run; empty where none did.
    """

    model_version: str
    artefact: str
    artefact_sha256: str
    precision: str
    trained: bool
    checkpoint_sha256: str | None
    temperature: float
    calibrated: bool
    preprocessing: str
    published_anyway: str = ""
    plans: Mapping[str, str]

    @classmethod
    def read(cls, found: Mapping[str, Any]) -> Provenance:
        """Of a report's `provenance`."""
        return cls(
            model_version=found["model_version"],
            artefact=found["artefact"],
            artefact_sha256=found["artefact_sha256"],
            precision=found["precision"],
            trained=found["weights"] == "trained",
            checkpoint_sha256=found["checkpoint_sha256"],
            temperature=found["temperature"],
            calibrated=found["calibrated"],
            preprocessing=found["preprocessing"],
            published_anyway=found.get("published_anyway", ""),
            plans=found.get("plans", {}),
        )


@dataclass(frozen=True, slots=True)
class Prediction:
    """One answer. Everything is the server's: the client applies no rule of its own.

    Args:
        model: that answered.
        report: the server's JSON object: findings, decisions, provenance.
        outputs: arrays by name, without the batch axis.
        heatmaps: where in each picture that was sent the evidence for the predicted label lies: input name →
            FP32 [h, w] in 0..1, which covers the whole picture; empty where the model has none.
        processing_time_s: from the call to the answer, by this machine's clock, further attempts included.
        statistics: what the input is like, by name (`Description.statistics`): the size of a picture's file, its
            brightness, a molecule's atoms; NaN of a picture that was left out.
    """

    model: str
    report: Mapping[str, Any]
    outputs: Mapping[str, NDArray[np.generic]]
    heatmaps: Mapping[str, NDArray[np.generic]]
    processing_time_s: float
    statistics: Mapping[str, float] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """The report in the source projects' field names, JSON-safe, with `processing_time` in seconds."""
        return {**self.report, "processing_time": round(self.processing_time_s, 6)}

    @property
    def prediction(self) -> str | float:
        """The predicted label, or the number of a regression in `unit`."""
        value: str | float = self.report["prediction"]
        return value

    @property
    def label(self) -> str:
        """The predicted label.

        Raises:
            TypeError: a regression has none.
        """
        if not isinstance(self.prediction, str):
            raise TypeError(f"{self.model}: expected a classifier, got a regression: read `prediction` and `unit`")
        return self.prediction

    @property
    def confidence(self) -> float | None:
        """Probability of the predicted label, 0..1; None for a regression."""
        return self.report.get("confidence")

    @property
    def probabilities(self) -> Mapping[str, float]:
        """By label; empty for a regression."""
        return self.report.get("probabilities", {})

    @property
    def uncertainty(self) -> float | None:
        """Entropy of the probabilities, 0 (sure) to 1 (no idea); None for a regression."""
        return self.report.get("uncertainty")

    @property
    def risk_level(self) -> str | None:
        """The source project's word for how likely the answer is to be wrong; None where it has none."""
        return self.report.get("risk_level")

    @property
    def unit(self) -> str:
        """Of a regression's number; "" for a classifier."""
        return self.report.get("unit", "")

    @property
    def interval(self) -> tuple[float, float] | None:
        """Where a regression's true value lies with the probability `report["interval_level"]`; None without one."""
        found = self.report.get("interval")
        return (found[0], found[1]) if found else None

    @property
    def modalities(self) -> tuple[str, ...]:
        """Which of several pictures the answer was made from; empty for models of one input."""
        return tuple(self.report.get("modalities", ()))

    @property
    def needs_review(self) -> bool:
        """Whether the model's rules ask for a person."""
        return bool(self.report["needs_review"])

    @property
    def review_reasons(self) -> tuple[str, ...]:
        """Why they do, a sentence each."""
        return tuple(self.report["review_reasons"])

    @property
    def disclaimer(self) -> str:
        """Belongs beside the answer wherever it is shown."""
        return str(self.report["disclaimer"])

    @property
    def timestamp(self) -> datetime:
        """When the server answered, UTC."""
        return datetime.fromisoformat(self.report["timestamp"].replace("Z", "+00:00"))

    @property
    def provenance(self) -> Provenance:
        """What computed it."""
        return Provenance.read(self.report["provenance"])

    def overlay(self, picture: Image.Image, of: str | None = None) -> Image.Image:
        """A picture under its heat map. Needs Pillow: `pip install 'medserve[overlay]'`.

        Args:
            picture: that was sent.
            of: the input that it was sent as; may be left out where there is one heat map.

        Raises:
            LookupError: there is no such heat map, or more than one and none was named.
        """
        name = next(iter(self.heatmaps)) if of is None and len(self.heatmaps) == 1 else of
        if name is None or name not in self.heatmaps:
            raise LookupError(f"{self.model}: expected one of {', '.join(self.heatmaps) or 'no heat map'}, got {of!r}")
        from medserve.overlay import overlay

        confidence = "" if self.confidence is None else f"{self.confidence:.3f}   "
        return overlay(picture, self.heatmaps[name], f"{self.prediction}   {confidence}not for diagnosis")
