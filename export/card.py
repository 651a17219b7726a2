"""The card of a model that was just exported, from its spec and its measurements."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from export.digest import sha256_of
from export.parity import Parity
from export.spec import ModelSpec
from report.card import Artefact, Declaration, RiskLevel

TOOLS = ("torch", "torchvision", "torch-geometric", "onnx", "onnxscript", "onnxruntime", "numpy")


def declaration(spec: ModelSpec) -> Declaration:
    """What the readers of an answer need of the spec."""
    return Declaration(
        task=spec.task,
        labels=spec.labels,
        unit=spec.unit,
        summary_fields=spec.summary_fields,
        review_below_confidence=spec.rules.review_below_confidence,
        review_above=spec.rules.review_above,
        risk_levels=tuple(RiskLevel(**asdict(level)) for level in spec.rules.risk_levels),
        intended_use=spec.intended_use,
        disclaimer=spec.disclaimer,
        claim=spec.claim,
    )


def artefact(file: Path, *, precision: str, opset: int, fingerprint: tuple[int, int], parity: Parity) -> Artefact:
    """Describe a file that passed its gate."""
    return Artefact(
        sha256=sha256_of(file),
        size_bytes=file.stat().st_size,
        precision=precision,
        opset=opset,
        fingerprint=fingerprint,
        parity=parity.as_dict(),
        tools=tool_versions(),
        created=datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
    )


def tool_versions() -> dict[str, str]:
    """Installed versions of the tools that decide an artefact; "absent" where one is not installed."""
    found = {}
    for tool in TOOLS:
        try:
            found[tool] = version(tool)
        except PackageNotFoundError:
            found[tool] = "absent"
    return found
