"""What is printed of a model when something was done to it."""

from __future__ import annotations

from pathlib import Path

from export.artefact import ARTEFACT, external, folder_of
from export.publish import Order, publish, published
from export.spec import ModelSpec
from report.card import Card


def export_line(spec: ModelSpec, folder: Path, order: Order) -> str:
    """Publish one model, and say what it came to."""
    before = published(spec, folder)
    card = publish(spec, folder, order)
    dropped = before is not None and before.calibration.fit is not None and card.calibration.fit is None
    file = folder_of(spec, folder) / ARTEFACT
    size = sum(part.stat().st_size for part in (file, external(file)) if part.is_file())
    exact = card.artefacts[ARTEFACT].comparisons[0]
    lines = [
        f"exported {spec.name}: {origin(card)}, {size / 1e6:.1f} MB, "
        f"max|Δ| {max(exact.max_error.values()):.1e} on {exact.samples} samples, {card.compared.source}"
        + (f", temperature {card.calibration.temperature:.4f}" if card.calibration.fit else "")
        + (", CALIBRATION DROPPED: it was fitted to other weights" if dropped else "")
    ]
    lines += [
        f"  {name}: {'refused' if refused.comparisons else 'not made'}: {'; '.join(refused.why)}"
        for name, refused in card.refused.items()
    ]
    lines += [
        f"  {name}: PUBLISHED ANYWAY: {artefact.published_anyway}"
        for name, artefact in card.artefacts.items()
        if artefact.published_anyway
    ]
    return "\n".join(lines)


def tune_line(spec: ModelSpec, folder: Path, rounds: int | None = None) -> str:
    """Tune one model, and say what it came to."""
    from export import tune

    choice = tune.tune(spec, folder, rounds or tune.ROUNDS)
    speeds = (f"{each} {', '.join(f'{r:.2f}×' for r in ratios.values())}" for each, ratios in choice.speeds.items())
    timed = f"; times FP32 on onnxruntime at batch {' and '.join(map(str, tune.BATCHES))}: {'; '.join(speeds)}"
    cut = f", {choice.lane_batch} at once on each core" if choice.lane_batch else ""
    return f"  this CPU: {choice.artefact} on {choice.engine} ({choice.precision}){cut}" + (
        timed if choice.speeds else ""
    )


def origin(card: Card) -> str:
    """Whose weights a card's artefacts have."""
    if not card.weights.trained:
        return "weights: UNTRAINED"
    return f"{'shipped weights' if card.weights.shipped else 'checkpoint'} {card.weights.checkpoint}"
