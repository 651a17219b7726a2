"""One model from its spec to a gated artefact in the repository."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from export.artefact import ARTEFACT, FILES, PRECISIONS, VERSION, external, folder_of, shipped_sha256
from export.digest import recipe_digest, sha256_of, sha256_of_all
from export.repository import write_choice
from export.spec import ModelSpec
from report.card import FILENAME, Calibration, Card, CardError, WeightsOrigin

if TYPE_CHECKING:  # torch and more: not for a start with nothing to export
    from torch import nn

    from export.parity import Reference
    from export.pictures import Folder, Items
    from export.variant import Variant

# Of every model; a spec adds what its own network is made of. What is not installed for FP32 alone is none of them:
# an export that is completed later is not another export.
TOOLS = ("torch", "torchvision", "torch-geometric", "onnx", "onnxscript", "onnxruntime", "openvino")
_SCRATCH = ".export-"


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What to export, and from what.

    Args:
        checkpoint: None: the weights that are shipped, or random ones.
        pictures: real ones to compare and calibrate on; None: generated ones.
        fitted: the temperature; None: the one in the card, if that is of the same weights.
        anyway: the reason for publishing what the gate refuses, INT8 without real pictures too; "" where there is none.
        report: folder for the gate's report, below it one of each model; None: none is written.
        precisions: those to export; FP32 always.
        keep_fp32: the FP32 file that is there is what this would export: compare it again, and do not trace it again.
    """

    checkpoint: Path | None = None
    pictures: Folder | None = None
    fitted: Calibration | None = None
    anyway: str = ""
    report: Path | None = None
    precisions: tuple[str, ...] = PRECISIONS
    keep_fp32: bool = False


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
    if would_untrain(spec, repository, checkpoint):
        raise WouldUntrain(
            f"{spec.name}: must be exported again ({reason}), and what is there was trained, or may have been. "
            f"Say CHECKPOINTS=…, or remove {file} to go on without it."
        )


def would_untrain(spec: ModelSpec, repository: Path, checkpoint: Path | None) -> bool:
    """Whether an export would replace weights that are, or may be, trained, without a checkpoint to replace them."""
    file = folder_of(spec, repository) / FILENAME
    if checkpoint is not None or not file.is_file():
        return False
    try:  # not Card.read: a card of another version of MedServe has this much too
        weights = json.loads(file.read_text("utf-8"))["weights"]
        return not (weights["trained"] is False or weights.get("shipped", False))
    except (ValueError, KeyError, TypeError, AttributeError):
        return True  # a damaged card does not show it


def stale(spec: ModelSpec, repository: Path, order: Order) -> str:
    """Why the model must be exported (again); empty when what is there will do."""
    if reason := outdated(spec, repository, order):
        return reason
    lacking = unattempted(spec, repository, order)
    return f"not exported in {', '.join(lacking)}" if lacking else ""


def unattempted(spec: ModelSpec, repository: Path, order: Order) -> list[str]:
    """The requested precisions of which the card holds neither a file nor the reason why there is none."""
    card = published(spec, repository)
    known = {*card.artefacts, *card.refused} if card else set()
    return [precision for precision in order.precisions if not known.issuperset(FILES[precision])]


def outdated(spec: ModelSpec, repository: Path, order: Order) -> str:
    """Why what is there must go; empty where it will do, or where it lacks nothing but a precision."""
    from export.card import declaration, tool_versions

    folder = folder_of(spec, repository)
    card = published(spec, repository)
    if card is None:
        return "not exported yet"
    expected = {ARTEFACT: ""}
    for name, artefact in card.artefacts.items():
        expected |= {name: artefact.sha256} | artefact.external
    if not all((folder / name).is_file() for name in expected):
        return "artefact missing"
    if any(sha256_of(folder / name) != digest for name, digest in expected.items()):
        return "artefact is not the one in its card"
    if _other_weights(spec, card, order.checkpoint):
        return "other weights"
    if card.declaration != declaration(spec):
        return "the spec changed"
    if order.pictures is not None and _other_pictures(spec, card, order.pictures):
        return "other pictures"
    versions = tool_versions((*TOOLS, *spec.packages))
    if card.recipe != recipe_digest(spec.name, tools=versions.values()):
        return "the exporter changed"
    return ""


def _other_pictures(spec: ModelSpec, card: Card, folder: Folder) -> bool:
    """Whether a comparison on this folder would be one on other pictures than the card's."""
    from export.pictures import labels_digest, labels_of, split

    compared, _ = split(spec, folder)
    return (tuple(compared), labels_digest(labels_of(spec, folder, compared.values()))) != (
        card.compared.sha256,
        card.compared.labels,
    )


def _other_weights(spec: ModelSpec, card: Card, checkpoint: Path | None) -> bool:
    """Whether an export would use other weights than the card's. Without a checkpoint what is there stays."""
    if checkpoint is not None:
        files = sorted(checkpoint.glob("*.safetensors")) if checkpoint.is_dir() else [checkpoint]
        return sha256_of_all(files) != card.weights.checkpoint_sha256
    if spec.shipped is None or (card.weights.trained and not card.weights.shipped):
        return False
    return shipped_sha256(spec.shipped) != card.weights.checkpoint_sha256


def publish(spec: ModelSpec, repository: Path, order: Order) -> Card:
    """Export, compare with PyTorch, and only then put the artefacts and their card in place.

    FP32 must pass or nothing is published; a lower precision that fails is refused by itself. Each
    artefact appears under its name whole or not at all; the card follows them.

    Args:
        spec: the model's declaration.
        repository: where to.
        order: see Order.

    Raises:
        export.checkpoints.CheckpointError: the checkpoint does not fit.
        export.parity.ParityError: the FP32 artefact does not compute what PyTorch computes.
    """
    from export import card as cards
    from export.loading import loaded_net
    from export.reference_distribution import reference_distribution, shipped_reference

    net, weights = loaded_net(spec, order.checkpoint)
    folder = folder_of(spec, repository)
    calibration = order.fitted or kept_calibration(folder / FILENAME, weights)
    folder.mkdir(parents=True, exist_ok=True)
    for left in folder.glob(f"{_SCRATCH}*"):  # of an export that was killed; there is one exporter at a time
        shutil.rmtree(left, ignore_errors=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix=_SCRATCH) as scratch:
        file = Path(scratch, ARTEFACT)
        kept = _kept(spec, repository, file) if order.keep_fp32 else None
        exported, reference, calibrating = _exported(net, spec, file, calibration, order.pictures, kept)
        found = [exported]
        if set(order.precisions) - {"fp32"}:
            from export.variants import variants

            found += variants(
                reference,
                calibrating,
                exported.path,
                trained=weights.trained,
                anyway=bool(order.anyway),
                precisions=order.precisions,
            )
        if order.report is not None:
            from export import gate_report  # draws, with what takes seconds to import

            gate_report.write(order.report / spec.name, reference, found)
        good = [variant for variant in found if variant.file and (not variant.why or order.anyway)]
        distribution = reference_distribution(spec, reference.items, reference.expected)
        if distribution is None and weights.shipped and spec.shipped:
            distribution = shipped_reference(spec.shipped)
        card = Card(
            model=spec.name,
            version=VERSION,
            declaration=cards.declaration(spec),
            weights=weights,
            calibration=calibration,
            recipe=recipe_digest(spec.name, tools=cards.tool_versions((*TOOLS, *spec.packages)).values()),
            compared=reference.items.origin,
            reference=distribution,
            artefacts={variant.name: cards.artefact(variant, anyway=order.anyway) for variant in good},
            refused={variant.name: cards.refused(variant) for variant in found if variant not in good},
        )
        write_choice(spec, repository, None)  # it was of the files that go now
        _replace(folder, [variant.path for variant in good])
    card.write(folder)
    return card


def _kept(spec: ModelSpec, repository: Path, copy: Path) -> tuple[int, int]:
    """Copy the FP32 file that is there, and return its fingerprint."""
    folder = folder_of(spec, repository)
    card = Card.read(folder / FILENAME)
    for source, target in ((folder / ARTEFACT, copy), (external(folder / ARTEFACT), external(copy))):
        if source.is_file():
            shutil.copyfile(source, target)
    return card.artefacts[ARTEFACT].fingerprint


def _exported(
    net: nn.Module,
    spec: ModelSpec,
    file: Path,
    calibration: Calibration,
    pictures: Folder | None,
    fingerprint: tuple[int, int] | None,
) -> tuple[Variant, Reference, Items]:
    """The FP32 file, what every variant is held to, and what finds the ranges of INT8.

    With a fingerprint, the file is there already.
    """
    from export import to_onnx
    from export.engines import here
    from export.graphs import serving_graph
    from export.parity import ParityError, Reference
    from export.pictures import gather
    from export.references import reference
    from export.suspects import suspects
    from export.variant import Variant

    compared, calibrating = gather(spec, pictures)
    if fingerprint is None:
        fingerprint = to_onnx.export_onnx(serving_graph(net, spec, calibration.temperature), spec, file)
    expected = reference(net.eval(), spec, compared.inputs, calibration.temperature)
    held = Reference(
        spec=spec,
        expected=expected,
        items=compared,
        suspects=cache(lambda: suspects(net, spec, compared, calibration.temperature)),
    )
    # OpenVINO may run it in bf16, behind bounds of its own; what it fails is not served that way.
    comparisons = held.comparisons(file, "fp32", here(), fingerprint)
    if comparisons[0].refused:
        raise ParityError(
            f"{spec.name}/{file.name} vs torch ({compared.origin.source})\n  "
            + "\n  ".join(comparisons[0].refused)
            + "\nNot published. The graph or the exporter is wrong; see export/graphs."
        )
    made = Variant(name=file.name, precision="fp32", file=file, fingerprint=fingerprint, comparisons=comparisons)
    return made, held, calibrating


def _replace(folder: Path, files: Sequence[Path]) -> None:
    """Put the files into the folder; take away what an earlier export left, plans of other weights above all."""
    wanted = {part.name: part for file in files for part in (external(file), file) if part.is_file()}
    for old in (*folder.glob("*.onnx"), *folder.glob("*.onnx.data"), *folder.glob("*.plan")):
        if old.name not in wanted:
            old.unlink()
    for name, made in wanted.items():
        os.chmod(made, 0o644)
        made.replace(folder / name)


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
