"""card.json: what an artefact is, where it came from, and what may be said of its answers.

The contract between the exporter, which writes it beside the artefacts, and the server and the
report step, which read it. JSON in, frozen dataclasses out.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from report.comparison import Comparison, PictureSet
from report.declaration import Declaration
from report.plan import Plan
from report.reference import ReferenceDistribution

SCHEMA = 3
FILENAME = "card.json"


_BACKEND = re.compile(r'^backend: "(\w+)"$', re.MULTILINE)  # in a generated config.pbtxt


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
class Quantised:
    """How a file got its eight bits.

    Args:
        form: of the Q/DQ pairs: "symmetric", which TensorRT takes, or "unsigned", which keeps a bit more.
        ranges: how the activations' ranges were found.
        calibrated: the pictures they were found on.
        layers: how many carry eight bits.
        kept: layers in higher precision, because the gate asked for it, most harmful first.
        looks: how often the gate was asked before it was content, or given up.
    """

    form: str
    ranges: str
    calibrated: PictureSet
    layers: int
    kept: tuple[str, ...] = ()
    looks: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Artefact:
    """One file that a server can load.

    Args:
        precision: of its encoder; what follows it stays in FP32.
        fingerprint: the two constants that the file puts first into its `summary`.
        external: name → SHA-256 of files beside it that hold its weights.
        comparisons: with PyTorch FP32, one for each engine that can run it here.
        quantised: None where it has no eight-bit layers.
        published_anyway: the reason that somebody gave for publishing what the gate refused; "" where it passed.
        tools: versions that made it.
        created: UTC, ISO 8601.
    """

    sha256: str
    size_bytes: int
    precision: str
    opset: int
    fingerprint: tuple[int, int]
    comparisons: tuple[Comparison, ...]
    tools: dict[str, str]
    created: str
    external: dict[str, str] = field(default_factory=dict)
    quantised: Quantised | None = None
    published_anyway: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """A variant that is not there, and why.

    Args:
        precision: that it would have had.
        why: sentences.
        size_bytes: of the file that was made and thrown away; 0 where none was made.
        comparisons, quantised: as in Artefact, where it came that far.
    """

    precision: str
    why: tuple[str, ...]
    size_bytes: int = 0
    comparisons: tuple[Comparison, ...] = ()
    quantised: Quantised | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """What serves this model best on one kind of CPU: the profile "cpu".

    Args:
        artefact: by file name.
        engine: that runs it.
        precision: that its encoder is computed in there.
        cpu: the features of that CPU which decide it; another CPU needs a choice of its own.
        speeds: "artefact engine" → how many times as fast as fp32.onnx on onnxruntime, at each batch size.
        lane_batch: items that each core takes of a batch at once; 0: all cores compute the batch together.
        lane_speeds: each such number → how many times as fast as all cores together.
    """

    artefact: str
    engine: str
    precision: str
    cpu: tuple[str, ...]
    speeds: dict[str, dict[int, float]]
    lane_batch: int = 0
    lane_speeds: dict[int, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """All artefacts of one version of one model.

    Args:
        model: the name that callers use.
        version: Triton's version folder.
        recipe: digest of the sources and tools that decide what the files compute.
        compared: what every comparison was made on.
        reference: what the compared items are like, to tell others by; None where they were generated.
        artefacts: by file name.
        refused: by file name: variants that were not made, or did not pass their gate.
        plans: by file name, of those that were built into the repository.
        choice: None until `python -m export tune`.
    """

    model: str
    version: str
    declaration: Declaration
    weights: WeightsOrigin
    calibration: Calibration
    recipe: str
    compared: PictureSet
    artefacts: dict[str, Artefact]
    refused: dict[str, Refused] = field(default_factory=dict)
    reference: ReferenceDistribution | None = None
    plans: dict[str, Plan] = field(default_factory=dict)
    choice: Choice | None = None
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
    return AddedCards(repository).read()


class AddedCards:
    """The cards of a model repository to which models are added while it is served.

    Args:
        repository: holds `<model>/<version>/card.json`.
    """

    def __init__(self, repository: Path) -> None:
        self._repository = repository
        self._known: set[Path] = set()

    def backend(self, net: str) -> str:
        """Return Triton's backend that runs a network, as its config says; "" where there is no such network."""
        file = self._repository / net / "config.pbtxt"
        found = _BACKEND.search(file.read_text("utf-8")) if net and file.is_file() else None
        return found[1] if found else ""

    def read(self) -> list[Card]:
        """Those that were added since the last call, sorted by model. A card that was replaced is not read again."""
        added = sorted(set(self._repository.glob(f"*/[0-9]*/{FILENAME}")) - self._known)
        found = [Card.read(path) for path in added]
        self._known.update(added)
        return found
