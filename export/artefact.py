"""Where a model's artefacts lie in the repository."""

from __future__ import annotations

from pathlib import Path

from export.spec import ModelSpec

VERSION = "1"
ARTEFACT = "fp32.onnx"


def folder_of(spec: ModelSpec, repository: Path) -> Path:
    """The model's artefacts and card."""
    return repository / spec.net / VERSION


def external(file: Path) -> Path:
    """Where the weights of an artefact lie that is too large for one file."""
    return file.with_name(file.name + ".data")
