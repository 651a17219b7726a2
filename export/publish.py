"""One model from its spec to a gated artefact in the repository."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec

from export.artefact import ARTEFACT, VERSION, external, folder_of, shipped_sha256
from export.digest import recipe_digest, sha256_of, sha256_of_all
from export.spec import ModelSpec
from report.card import FILENAME, Calibration, Card, CardError, WeightsOrigin

TOOLS = ("torch", "torchvision", "torch-geometric", "transformers", "onnx", "onnxscript")


@dataclass(frozen=True, slots=True)
class Sources:
    """Where checkpoints come from; None and empty where the user gave none.

    Args:
        checkpoints: a folder with the source projects' files.
        explicit: checkpoints by model name.
    """

    checkpoints: Path | None
    explicit: Mapping[str, Path]


class WouldUntrain(ValueError):
    """An export that would put random weights in the place of trained ones."""


def published(spec: ModelSpec, repository: Path) -> Card | None:
    """The model's card; None where there is no readable one."""
    try:
        return Card.read(folder_of(spec, repository) / FILENAME)
    except CardError:
        return None


def check_not_untraining(spec: ModelSpec, repository: Path, checkpoint: Path | None, reason: str) -> None:
    """Raises WouldUntrain: what is there is or may be trained, and no checkpoint is given to replace it."""
    file = folder_of(spec, repository) / FILENAME
    if checkpoint is not None or not file.is_file():
        return
    try:  # not Card.read: a card of another version of MedServe tells this much too
        weights = json.loads(file.read_text("utf-8"))["weights"]
        replaceable = weights["trained"] is False or weights.get("shipped", False)
    except (ValueError, KeyError, TypeError, AttributeError):
        replaceable = False  # a damaged card: nobody knows
    if not replaceable:
        raise WouldUntrain(
            f"{spec.name}: must be exported again ({reason}), and what is there was trained, or may have been. "
            f"Say CHECKPOINTS=…, or remove {file} to go on without it."
        )


def stale(spec: ModelSpec, repository: Path, checkpoint: Path | None) -> str:
    """Why the model must be exported (again); empty when what is there will do."""
    from export.card import declaration, tool_versions

    folder = folder_of(spec, repository)
    card = published(spec, repository)
    if card is None:
        return "not exported yet"
    listed = card.artefacts.get(ARTEFACT)
    expected = {} if listed is None else {ARTEFACT: listed.sha256} | listed.external
    if not expected or not all((folder / name).is_file() for name in expected):
        return "artefact missing"
    if any(sha256_of(folder / name) != digest for name, digest in expected.items()):
        return "artefact is not the one in its card"
    if _other_weights(spec, card, checkpoint):
        return "other weights"
    if card.declaration != declaration(spec):
        return "the spec changed"
    versions = tool_versions()
    if card.recipe != recipe_digest(spec.name, tools=[versions[tool] for tool in TOOLS]):
        return "the exporter changed"
    return ""


def _other_weights(spec: ModelSpec, card: Card, checkpoint: Path | None) -> bool:
    """Whether an export would use other weights than the card's. Without a checkpoint what is there stays."""
    if checkpoint is not None:
        files = sorted(checkpoint.glob("*.safetensors")) if checkpoint.is_dir() else [checkpoint]
        return sha256_of_all(files) != card.weights.checkpoint_sha256
    if spec.shipped is None or (card.weights.trained and not card.weights.shipped):
        return False
    return shipped_sha256(spec.shipped) != card.weights.checkpoint_sha256


def publish(
    spec: ModelSpec, repository: Path, checkpoint: Path | None, parity_folder: Path | None, fitted: Calibration | None
) -> Card:
    """Export, compare with PyTorch, and only then put the artefact and its card in place.

    The artefact appears under its name whole or not at all; the card follows it.

    Args:
        spec: the model's declaration.
        repository: where to.
        checkpoint: None: the weights that are shipped, or random ones.
        parity_folder: of real pictures; None: generated ones.
        fitted: the temperature; None: the one in the card, if that is of the same weights.

    Raises:
        export.checkpoints.CheckpointError: the checkpoint does not fit.
        export.parity.ParityError: the artefact does not compute what PyTorch computes.
    """
    from export import card as cards
    from export import parity, samples, to_onnx
    from export.graphs import serving_graph
    from export.loading import loaded_net

    net, weights = loaded_net(spec, checkpoint)
    folder = folder_of(spec, repository)
    calibration = fitted or kept_calibration(folder / FILENAME, weights)
    if parity_folder is not None and [sent.name for sent in spec.step.inputs] == ["image"]:
        inputs, source = samples.from_folder(spec, parity_folder), f"files of {parity_folder.name}"
    else:
        inputs, source = samples.generated(spec, spec.gate.samples), "generated (export.samples)"
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".export-") as scratch:
        file = Path(scratch, ARTEFACT)
        fingerprint = to_onnx.export_onnx(serving_graph(net, spec, calibration.temperature), spec, file)
        figures = parity.compare(spec, net, file, inputs, source, calibration.temperature)
        described = cards.artefact(file, precision="fp32", opset=to_onnx.OPSET, fingerprint=fingerprint, parity=figures)
        versions = cards.tool_versions()
        external(folder / ARTEFACT).unlink(missing_ok=True)
        for made in (external(file), file):
            if made.is_file():
                os.chmod(made, 0o644)
                made.replace(folder / made.name)
    card = Card(
        model=spec.name,
        version=VERSION,
        declaration=cards.declaration(spec),
        weights=weights,
        calibration=calibration,
        recipe=recipe_digest(spec.name, tools=[versions[tool] for tool in TOOLS]),
        artefacts={ARTEFACT: described},
    )
    card.write(folder)
    return card


def kept_calibration(file: Path, weights: WeightsOrigin) -> Calibration:
    """The temperature in a card, if it was fitted to these very weights; else 1.0.

    Raises:
        ValueError: a card that cannot be read, or that holds no sound calibration: one may be lost with it.
    """
    if not file.is_file() or not weights.trained:
        return Calibration()
    try:  # not Card.read: a card of another version may hold it all the same
        content = json.loads(file.read_text("utf-8"))
        if content["weights"].get("checkpoint_sha256") != weights.checkpoint_sha256:
            return Calibration()
        kept = msgspec.convert(content["calibration"], Calibration)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as exc:
        raise ValueError(
            f"{file}: expected a card with a calibration, got none that can be read ({type(exc).__name__}). "
            "Remove the file, export, and calibrate again."
        ) from exc
    if not kept.temperature > 0:
        raise ValueError(f"{file}: calibration.temperature: expected more than 0, got {kept.temperature}")
    return kept
