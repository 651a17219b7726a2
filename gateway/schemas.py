"""The shapes of what goes in and out, for the OpenAPI document and for whoever generates a client of it."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from gateway import examples


class Problem(BaseModel):
    """RFC 9457."""

    type: str
    title: str
    status: int
    detail: str = Field(description="A sentence for people; nothing of what was sent.")
    code: str = Field(description="For programs.")
    prediction_id: str | None = Field(None, description="Of an item of a batch: what its refusal is recorded under.")


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

    model_config = ConfigDict(extra="allow")
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


class Input(BaseModel):
    """One thing that a model takes."""

    model_config = ConfigDict(extra="allow")
    name: str = Field(description="the form field, or the member of the JSON object, that holds it")
    meaning: str
    optional: bool
    picture: bool


class Model(BaseModel):
    """Everything that the server says of one model."""

    model_config = ConfigDict(extra="allow")
    name: str
    trained: bool = Field(description="false: random weights, whose answers mean nothing")
    task: str
    labels: list[str] = Field(description="empty for a regression")
    unit: str
    inputs: list[Input]
    outputs: list[dict[str, Any]]
    statistics: list[str] = Field(description="names of what is told of an input")
    aliases: list[str]
    intended_use: str
    limits: list[str]
    disclaimer: str
    claim: str = Field(description="the source project's, not checked here")
    version: str
    weights: dict[str, Any]
    calibration: dict[str, Any]
    artefacts: dict[str, Any] = Field(description="by file: digest, precision, what the gate measured of it")
    refused: dict[str, Any] = Field(description="files that did not pass the gate, and why")


class ModelInfo(BaseModel):
    """Of those models that the caller may ask."""

    models: list[Model]


class Feedback(BaseModel):
    """What somebody who knows says of an answer."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": examples.FEEDBACK})
    label: str = Field(min_length=1, max_length=200, description="one of the model's labels")
