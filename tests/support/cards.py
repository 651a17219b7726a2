"""Cards of models that were never exported."""

from __future__ import annotations

from typing import Any

from report.card import Artefact, Calibration, Card, WeightsOrigin
from report.comparison import PictureSet
from report.declaration import Declaration
from report.rules import RiskLevel, Rules

LEVELS = (
    RiskLevel(name="LOW", confidence_above=0.8, uncertainty_below=0.3),
    RiskLevel(name="MEDIUM", confidence_above=0.6, uncertainty_below=0.5),
    RiskLevel(name="HIGH", review=True),
)
FIELDS = ("probability:A", "probability:B", "uncertainty")


def made_card(model: str = "lung", fingerprint: tuple[int, int] = (3, 2**24 - 1), **changes: Any) -> Card:
    """A classifier of two labels with one FP32 file.

    Args:
        model: its name.
        fingerprint: of its file.
        changes: of its declaration.
    """
    declaration: dict[str, Any] = {
        "task": "t",
        "labels": ("A", "B"),
        "summary_fields": FIELDS,
        "rules": Rules(review_below_confidence=0.7, risk_levels=LEVELS),
        "intended_use": "research",
        "disclaimer": "not for diagnosis",
        "claim": "",
    }
    artefact = Artefact(
        sha256="ab" * 32,
        size_bytes=1,
        precision="fp32",
        opset=18,
        fingerprint=fingerprint,
        comparisons=(),
        tools={},
        created="2026-11-21T00:00:00Z",
    )
    return Card(
        model=model,
        version="1",
        declaration=Declaration(**(declaration | changes)),
        weights=WeightsOrigin(trained=True, checkpoint="x.pth", checkpoint_sha256="cd" * 32),
        calibration=Calibration(),
        recipe="r",
        compared=PictureSet(source="made up", synthetic=True, sha256=()),
        artefacts={"fp32.onnx": artefact},
    )
