"""card.json: what an artefact is, where it came from, and what may be said of its answers.

The contract between the exporter, which writes it beside the artefacts, and the server and the
report step, which read it. JSON in, frozen dataclasses out.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from report.declaration import Declaration

SCHEMA = 2
FILENAME = "card.json"


class CardError(ValueError):
    """A card that is missing, cut short, or of another schema."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightsOrigin:
    """Trained weights name their checkpoint; untrained ones their seed.

    Args:
        shipped: the weights are this repository's own, not a source project's.
        figures: what was measured of shipped weights when they were trained.
    """

    trained: bool
    checkpoint: str | None = None
    checkpoint_sha256: str | None = None
    seed: int | None = None
    shipped: bool = False
    figures: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CalibrationFit:
    """How a temperature was found, and what it changed.

    Args:
        source: name of the folder of labelled pictures.
        images: how many.
        sha256: of each, so that others can be shown to be other pictures.
        nll_before, nll_after: negative log-likelihood per picture, in nats.
        ece_before, ece_after: expected calibration error, 0..1.
        measured: how the figures after were measured.
    """

    source: str
    images: int
    sha256: tuple[str, ...]
    nll_before: float
    nll_after: float
    ece_before: float
    ece_after: float
    measured: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """The temperature compiled into the graph; 1.0 until it is fitted to labels."""

    temperature: float = 1.0
    fit: CalibrationFit | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Artefact:
    """One file that a server can load.

    Args:
        fingerprint: the two constants that the file puts first into its `summary`.
        external: name → SHA-256 of files beside it that hold its weights.
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
    external: dict[str, str] = field(default_factory=dict)


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
        partial.write_bytes(msgspec.json.format(msgspec.json.encode(self)) + b"\n")
        partial.replace(folder / FILENAME)

    @classmethod
    def read(cls, path: Path) -> Card:
        """Raises CardError with the path and the reason."""
        try:
            content = path.read_bytes()
            found = msgspec.json.decode(content, type=_Versioned).schema
            if found != SCHEMA:
                raise CardError(f"{path}: schema: expected {SCHEMA}, got {found}.")
            return msgspec.json.decode(content, type=cls)
        except FileNotFoundError as exc:
            raise CardError(f"{path}: expected a card, found none.") from exc
        except (OSError, msgspec.DecodeError, UnicodeDecodeError) as exc:
            raise CardError(f"{path}: not a whole card ({exc}).") from exc


@dataclass(frozen=True, slots=True)
class _Versioned:
    """As much of a card as cards of every schema have."""

    schema: int | None = None


def cards_below(repository: Path) -> list[Card]:
    """The cards of a model repository, sorted by model; `<model>/<version>/card.json`."""
    return [Card.read(path) for path in sorted(repository.glob(f"*/[0-9]*/{FILENAME}"))]
