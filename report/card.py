"""card.json: what an artefact is, where it came from, and what may be said of its answers.

The contract between the exporter, which writes it beside the artefacts, and the server and the
report step, which read it. JSON in, frozen dataclasses out.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

SCHEMA = 1
FILENAME = "card.json"


class CardError(ValueError):
    """A card that is missing, cut short, or of another schema."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RiskLevel:
    """A level of doubt that an answer has if its confidence is above and its uncertainty below."""

    name: str
    confidence_above: float
    uncertainty_below: float
    review: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Declaration:
    """The part of the model's spec that readers of an answer need."""

    task: str
    labels: tuple[str, ...]
    unit: str
    summary_fields: tuple[str, ...]
    review_below_confidence: float | None
    review_above: tuple[tuple[str, float], ...]
    risk_levels: tuple[RiskLevel, ...]
    intended_use: str
    disclaimer: str
    claim: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightsOrigin:
    """Trained weights name their checkpoint; untrained ones their seed."""

    trained: bool
    checkpoint: str | None = None
    checkpoint_sha256: str | None = None
    seed: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """The temperature compiled into the graph, and whether it was fitted to labels."""

    temperature: float = 1.0
    fitted: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Artefact:
    """One file that a server can load.

    Args:
        fingerprint: the two constants that the file puts first into its `summary`.
        parity: the comparison with PyTorch FP32: samples, source, errors by output.
        tools: versions that made it.
        created: UTC, ISO 8601.
    """

    sha256: str
    size_bytes: int
    precision: str
    opset: int
    fingerprint: tuple[int, int]
    parity: dict[str, Any]
    tools: dict[str, str]
    created: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """All artefacts of one version of one model.

    Args:
        model: the name that callers use.
        version: Triton's version folder.
        recipe: digest of the sources and tools that decide what the files compute.
        artefacts: by file name.
    """

    model: str
    version: str
    declaration: Declaration
    weights: WeightsOrigin
    calibration: Calibration
    recipe: str
    artefacts: dict[str, Artefact]
    schema: int = SCHEMA

    def write(self, folder: Path) -> None:
        """Replace `folder`/card.json in one step, so that no reader sees half a card."""
        partial = folder / f".{FILENAME}.{os.getpid()}"
        partial.write_text(json.dumps(asdict(self), indent=2, ensure_ascii=False) + "\n", "utf-8")
        partial.replace(folder / FILENAME)

    @classmethod
    def read(cls, path: Path) -> Card:
        """Raises CardError with the path and the reason."""
        try:
            content = json.loads(path.read_text("utf-8"))
        except FileNotFoundError as exc:
            raise CardError(f"{path}: expected a card, found none.") from exc
        except (OSError, ValueError) as exc:
            raise CardError(f"{path}: not a readable card ({exc}).") from exc
        found = content.get("schema") if isinstance(content, dict) else None
        if found != SCHEMA:
            raise CardError(f"{path}: schema: expected {SCHEMA}, got {found}.")
        try:
            return _card(content)
        except (KeyError, TypeError, ValueError) as exc:
            raise CardError(f"{path}: not a whole card ({exc!r}).") from exc


def _card(content: dict[str, Any]) -> Card:
    declaration = content["declaration"] | {
        name: tuple(content["declaration"][name]) for name in ("labels", "summary_fields")
    }
    declaration["risk_levels"] = tuple(RiskLevel(**level) for level in declaration["risk_levels"])
    declaration["review_above"] = tuple((name, float(bound)) for name, bound in declaration["review_above"])
    artefacts = {
        name: Artefact(**(artefact | {"fingerprint": tuple(map(int, artefact["fingerprint"]))}))
        for name, artefact in content["artefacts"].items()
    }
    return Card(
        **(
            content
            | {
                "declaration": Declaration(**declaration),
                "weights": WeightsOrigin(**content["weights"]),
                "calibration": Calibration(**content["calibration"]),
                "artefacts": artefacts,
            }
        )
    )


def cards_below(repository: Path) -> list[Card]:
    """The cards of a model repository, sorted by model; `<model>/<version>/card.json`."""
    return [Card.read(path) for path in sorted(repository.glob(f"*/[0-9]*/{FILENAME}"))]
