"""Where a model's artefacts lie in the repository, and where the weights that are shipped."""

from __future__ import annotations

from pathlib import Path

from export.digest import EXPORT, sha256_of
from export.spec import ModelSpec, Shipped

VERSION = "1"
ARTEFACT = "fp32.onnx"
# precision → files; one that is not made, or not published, is listed in the manifest with the reason.
FILES = {"fp32": (ARTEFACT,), "fp16": ("fp16.onnx",), "int8": ("int8.onnx", "int8_cpu.onnx")}
PRECISIONS = tuple(FILES)
WEIGHTS = EXPORT / "weights"


def folder_of(spec: ModelSpec, repository: Path) -> Path:
    """The model's artefacts and card."""
    return repository / spec.net / VERSION


def external(file: Path) -> Path:
    """Where the weights of an artefact lie that is too large for one file."""
    return file.with_name(file.name + ".data")


def shipped_sha256(shipped: Shipped) -> str:
    """Of the weights as they are in the repository now."""
    return sha256_of(WEIGHTS / shipped.file)
