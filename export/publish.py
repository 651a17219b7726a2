"""One model from its spec to a gated artefact in the repository."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from export.digest import recipe_digest, sha256_of
from export.repository import ARTEFACT, VERSION
from export.spec import ModelSpec
from report.card import FILENAME, Calibration, Card, CardError, WeightsOrigin

TOOLS = ("torch", "torchvision", "torch-geometric", "onnx", "onnxscript")
SAMPLES = 8


@dataclass(frozen=True, slots=True)
class Sources:
    """Where checkpoints and parity files come from; None and empty where the user gave none.

    Args:
        checkpoints: a folder with the source projects' files.
        explicit: checkpoints by model name.
        parity: a folder of real pictures for the comparison with PyTorch.
    """

    checkpoints: Path | None
    explicit: Mapping[str, Path]
    parity: Path | None


def folder_of(spec: ModelSpec, repository: Path) -> Path:
    """Where the model's artefacts and card live."""
    return repository / spec.net / VERSION


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
        trained = json.loads(file.read_text("utf-8"))["weights"]["trained"]
    except (ValueError, KeyError, TypeError):
        trained = True  # a damaged card: nobody knows
    if trained is not False:
        raise WouldUntrain(
            f"{spec.name}: must be exported again ({reason}), and what is there was trained, or may have been. "
            f"Say CHECKPOINTS=…, or remove {file} to go on untrained."
        )


def stale(spec: ModelSpec, repository: Path, checkpoint: Path | None) -> str:
    """Why the model must be exported (again); empty when what is there will do."""
    from export.card import declaration, tool_versions

    folder = folder_of(spec, repository)
    card = published(spec, repository)
    if card is None:
        return "not exported yet"
    listed = card.artefacts.get(ARTEFACT)
    if listed is None or not (folder / ARTEFACT).is_file():
        return "artefact missing"
    if sha256_of(folder / ARTEFACT) != listed.sha256:
        return "artefact is not the one in its card"
    if checkpoint is not None and sha256_of(checkpoint) != card.weights.checkpoint_sha256:
        return "another checkpoint"
    if card.declaration != declaration(spec):
        return "the spec changed"
    versions = tool_versions()
    if card.recipe != recipe_digest(spec.name, tools=[versions[tool] for tool in TOOLS]):
        return "the exporter changed"
    return ""


def publish(spec: ModelSpec, repository: Path, checkpoint: Path | None, parity_folder: Path | None) -> Card:
    """Export, compare with PyTorch, and only then put the artefact and its card in place.

    The artefact appears under its name whole or not at all; the card follows it.

    Raises:
        export.checkpoints.CheckpointError: the checkpoint does not fit.
        export.parity.ParityError: the artefact does not compute what PyTorch computes.
    """
    import torch

    from export import card as cards
    from export import parity, samples, to_onnx
    from export.checkpoints import fill, load
    from export.graph import serving_graph

    torch.manual_seed(spec.weights.seed)
    net = spec.build().eval()
    _check_parameters(spec, sum(parameter.numel() for parameter in net.parameters()))
    weights = WeightsOrigin(trained=False, seed=spec.weights.seed)
    if checkpoint is not None:
        loaded = load(checkpoint, spec)
        fill(net, loaded, spec)
        weights = WeightsOrigin(trained=True, checkpoint=checkpoint.name, checkpoint_sha256=loaded.sha256)
    if parity_folder is not None and spec.inputs[0].step.input.name == "image":
        inputs, source = samples.from_folder(spec, parity_folder), f"files of {parity_folder.name}"
    else:
        inputs, source = samples.generated(spec, SAMPLES), "generated (export.samples)"
    folder = folder_of(spec, repository)
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".export-") as scratch:
        file = Path(scratch, ARTEFACT)
        fingerprint = to_onnx.export_onnx(serving_graph(net, spec), spec, file)
        figures = parity.compare(spec, net, file, inputs, source)
        described = cards.artefact(file, precision="fp32", opset=to_onnx.OPSET, fingerprint=fingerprint, parity=figures)
        versions = cards.tool_versions()
        os.chmod(file, 0o644)
        file.replace(folder / ARTEFACT)
    card = Card(
        model=spec.name,
        version=VERSION,
        declaration=cards.declaration(spec),
        weights=weights,
        calibration=Calibration(),
        recipe=recipe_digest(spec.name, tools=[versions[tool] for tool in TOOLS]),
        artefacts={ARTEFACT: described},
    )
    card.write(folder)
    return card


def _check_parameters(spec: ModelSpec, count: int) -> None:
    if count != spec.parameters:
        raise ValueError(f"{spec.name}: build(): expected {spec.parameters:,} parameters, got {count:,}")
