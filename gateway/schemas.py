"""The shapes of what goes in and out, for the OpenAPI document and for whoever generates a client of it."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

_PROVENANCE = {
    "model_version": "1", "artefact": "fp32.onnx", "artefact_sha256": "0" * 64, "precision": "fp32",
    "weights": "trained", "checkpoint_sha256": "0" * 64, "temperature": 1.3, "calibrated": True,
    "preprocessing": "1+0123456789ab",
}  # fmt: skip
_ANSWER: dict[str, Any] = {
    "prediction_id": "0" * 32, "model": "a_model", "prediction": "Pneumonia", "confidence": 0.91,
    "probabilities": {"Normal": 0.09, "Pneumonia": 0.91}, "uncertainty": 0.44, "needs_review": False,
    "review_reasons": [], "disclaimer": "Research software, not a medical device.",
    "timestamp": "2026-01-01T00:00:00.000Z", "provenance": _PROVENANCE, "processing_time": 0.031,
    "statistics": {"width": 600, "height": 450},
}  # fmt: skip


class Problem(BaseModel):
    """RFC 9457."""

    type: str = Field(examples=["urn:medserve:corrupt_image"])
    title: str = Field(examples=["Unprocessable Content"])
    status: int = Field(examples=[422])
    detail: str = Field(description="A sentence for people; nothing of what was sent.")
    code: str = Field(description="For programs.", examples=["corrupt_image"])


class Provenance(BaseModel):
    """What computed an answer."""

    model_config = ConfigDict(extra="allow")
    model_version: str
    artefact: str
    artefact_sha256: str
    precision: str
    weights: str = Field(description="trained, or untrained: then the answer means nothing")
    checkpoint_sha256: str | None
    temperature: float
    calibrated: bool
    preprocessing: str


class Answer(BaseModel):
    """The server's report on one item; a classifier has confidence and probabilities, a regression a unit."""

    model_config = ConfigDict(extra="allow", json_schema_extra={"examples": [_ANSWER]})
    prediction_id: str = Field(pattern="^[0-9a-f]{32}$")
    model: str
    prediction: str | float = Field(description="the label, or the number in `unit`")
    confidence: float | None = Field(None, ge=0, le=1)
    probabilities: dict[str, float] | None = None
    uncertainty: float | None = Field(None, description="entropy of the probabilities: 0 sure, 1 no idea")
    risk_level: str | None = None
    unit: str | None = None
    interval: list[float] | None = None
    needs_review: bool = Field(description="whether the model's rules ask for a person")
    review_reasons: list[str]
    disclaimer: str
    timestamp: str
    provenance: Provenance
    processing_time: float = Field(description="seconds")
    statistics: dict[str, float | None] = Field(description="what the input is like")
    heatmaps: dict[str, str] | None = Field(None, description="heatmap=png: data URI of a grey PNG by input")
    pictures: dict[str, str] | None = Field(None, description="explain=seen: data URI by input")
    overlays: dict[str, str] | None = Field(None, description="explain=overlay: data URI of a PNG by input")


class Vision(BaseModel):
    """What the source project's front end reads, and nothing else."""

    prediction: str | float
    confidence: float
    disclaimer: str


class Result(BaseModel):
    """What one item of a batch came to: an answer or a problem."""

    index: int
    status: int
    answer: Answer | None = None
    problem: Problem | None = None


class Results(BaseModel):
    """In the order of the items."""

    results: list[Result]


class Health(BaseModel):
    """Whether the server can be used now."""

    live: bool
    ready: bool
    models: dict[str, bool]
    reason: str


class ModelInfo(BaseModel):
    """Everything that the server says of its models."""

    models: list[dict[str, Any]]


class Feedback(BaseModel):
    """What somebody who knows says of an answer."""

    model_config = ConfigDict(extra="forbid")
    label: str = Field(min_length=1, max_length=200, description="one of the model's labels")
