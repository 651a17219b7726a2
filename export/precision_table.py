"""What every variant of a model cost in agreement, as Markdown: one row for each artefact and engine.

Made from the recorded part of the cards (`docs/models/measured.json`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

_HEAD = (
    "| file | engine | computes in | MB | labels flipped (ties) | review flips (lost) | max / mean \\|Δ\\| | "
    "heat map r | accuracy | ECE | verdict |\n|---|---|---|---|---|---|---|---|---|---|---|"
)
_READING = """\
Each row is one file on one engine against PyTorch FP32 on the same items. *Labels flipped*: the predicted class
differs; a tie is a flip where PyTorch's own margin was below the precision's bound. *Review flips*: the answer goes
to a person under one of the two only; lost, if PyTorch would have sent it. *Δ*: of the probabilities, or of log S.
*Heat map r*: median Pearson correlation. Accuracy and ECE: PyTorch → variant, on the items that have a label.
`int8.onnx` is the form that TensorRT takes, `int8_cpu.onnx` the CPUs' own; no row was measured on a GPU."""


def table(figures: Mapping[str, Any]) -> str:
    """Of one model."""
    return "\n".join([_HEAD, *_rows(figures)])


def page(measured: Mapping[str, Any]) -> str:
    """Of all models that were recorded."""
    parts = ["# What lower precision costs", _READING]
    for name, figures in measured.items():
        trained = "trained" if figures["weights"]["trained"] else "**untrained**: its labels mean nothing"
        compared = figures["compared"]
        parts.append(
            f"## `{name}`\n\nWeights {trained}; {compared['pictures']} items, {compared['source']}.\n\n{table(figures)}"
            + _reasons(figures)
            + _kept(figures)
            + _choice(figures)
        )
    return "\n\n".join(parts) + "\n"


def _rows(figures: Mapping[str, Any]) -> Iterator[str]:
    for name, made in (*figures["artefacts"].items(), *figures["refused"].items()):
        if not made["comparisons"]:
            yield f"| `{name}` | | {made['precision']} | | | | | | | | not made: {'; '.join(made['why'])} |"
        for comparison in made["comparisons"]:
            yield _row(name, made, comparison)


def _row(name: str, made: Mapping[str, Any], found: Mapping[str, Any]) -> str:
    beside = " and its weights beside it" if made.get("external") else ""
    cells = [f"`{name}`", found["engine"], found["precision"], f"{made['size_bytes'] / 1e6:.1f}{beside}"]
    if not found["max_error"]:
        return "| " + " | ".join([*cells, *[""] * 6, "; ".join(found["refused"])]) + " |"
    prediction = next(iter(found["max_error"]))
    heatmaps, labelled = found["heatmap_correlation"].values(), found["labelled"]
    cells += [
        f"{found['label_flips']} of {found['samples']} ({found['ties']})",
        f"{found['review_flips']} ({found['lost_reviews']})",
        f"{found['max_error'][prediction]:.2g} / {found['mean_error'][prediction]:.2g}",
        f"{min(heatmaps):.4f}" if heatmaps else "",
        f"{labelled['accuracy'][0]:.3f} → {labelled['accuracy'][1]:.3f}" if labelled else "",
        f"{labelled['ece'][0]:.3f} → {labelled['ece'][1]:.3f}" if labelled else "",
        "**refused**" if found["refused"] else "passed",
    ]
    return "| " + " | ".join(cells) + " |"


def _reasons(figures: Mapping[str, Any]) -> str:
    """Why what was made was refused."""
    lines = [
        f"- `{name}`: {sentence}"
        for name, made in (*figures["artefacts"].items(), *figures["refused"].items())
        for comparison in made["comparisons"]
        for sentence in comparison["refused"]
    ]
    return "\n\nRefused:\n\n" + "\n".join(lines) if lines else ""


def _kept(figures: Mapping[str, Any]) -> str:
    lines = [
        f"`{name}`: {made['quantised']['layers']} layers in eight bits, ranges by {made['quantised']['ranges']} of "
        f"{made['quantised']['calibrated']['pictures']} other items; in FP32, most harmful first: "
        + (", ".join(f"`{layer}`" for layer in made["quantised"]["kept"]) or "none")
        + "."
        for name, made in (*figures["artefacts"].items(), *figures["refused"].items())
        if made["quantised"]
    ]
    return "\n\n" + "\n\n".join(lines) if lines else ""


def _choice(figures: Mapping[str, Any]) -> str:
    choice = figures["choice"]
    if not choice or not choice["speeds"]:
        return ""
    speeds = "; ".join(
        f"`{each}` {' and '.join(f'{r:.2f}' for r in of.values())}" for each, of in choice["speeds"].items()
    )
    return (
        f"\n\nOn a CPU with {', '.join(choice['cpu'])} the choice was `{choice['artefact']}` on {choice['engine']} "
        f"({choice['precision']}). Times FP32 on onnxruntime, at batch 1 and 8: {speeds}."
    )
