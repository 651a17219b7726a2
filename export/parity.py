"""An artefact against PyTorch FP32 on the same inputs: names, shapes, values; no number, no artefact."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from torch import nn

from export.references import Arrays, reference
from export.spec import ModelSpec

BATCH = 8


class ParityError(ValueError):
    """An artefact that does not compute what PyTorch computes. It is not published."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parity:
    """The comparison's figures.

    Args:
        samples: how many inputs.
        source: where they came from.
        provider: what ran the artefact.
        max_abs_error: by output, against PyTorch FP32 in eager mode.
        label_flips: predictions that differ; 0 for a regression.
    """

    samples: int
    source: str
    provider: str
    max_abs_error: dict[str, float]
    label_flips: int

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def compare(
    spec: ModelSpec, net: nn.Module, file: Path, inputs: Arrays, source: str, temperature: float = 1.0
) -> Parity:
    """Run both and hold the difference against the spec's gate.

    Args:
        spec: the model's declaration.
        net: the network as the source project runs it, with the same weights.
        file: the ONNX artefact.
        inputs: net inputs by name, [N, ...].
        source: said of the inputs in the card.
        temperature: that the artefact divides its logits by.

    Raises:
        ParityError: lists every output that is missing, wrongly shaped or beyond its bound.
    """
    expected = reference(net.eval(), spec, inputs, temperature)
    got = _run(file, inputs)
    complaints, errors = _differences(spec, expected, got)
    samples = len(next(iter(inputs.values())))
    if complaints:
        raise ParityError(
            f"{spec.name}/{file.name} vs torch, {samples} samples ({source})\n  "
            + "\n  ".join(complaints)
            + "\nNot published. The graph or the exporter is wrong; see export/graphs."
        )
    flips = 0
    if spec.labels:
        flips = int((expected["probabilities"].argmax(1) != got["probabilities"].argmax(1)).sum())
    return Parity(
        samples=samples,
        source=source,
        provider="onnxruntime CPUExecutionProvider",
        max_abs_error=errors,
        label_flips=flips,
    )


def _differences(spec: ModelSpec, expected: Arrays, got: Arrays) -> tuple[list[str], dict[str, float]]:
    complaints, errors = [], {}
    for output in spec.outputs:
        if output.name not in got:
            complaints.append(f"{output.name}: missing; the file has {', '.join(got)}")
            continue
        want, have = expected[output.name], got[output.name]
        if want.shape != have.shape:
            complaints.append(f"{output.name}: shape: expected {want.shape}, got {have.shape}")
            continue
        difference = np.abs(want.astype(np.float64) - have.astype(np.float64))
        errors[output.name] = float(difference.max())
        bound = spec.gate.heatmap if output.name.startswith("heatmap") else spec.gate.fp32
        if not errors[output.name] <= bound:  # NaN must fail too
            worst = int(np.nan_to_num(difference, nan=np.inf).reshape(len(difference), -1).max(1).argmax())
            complaints.append(f"{output.name}: max|Δ| {errors[output.name]:.3g} > {bound:g} (sample {worst})")
    return complaints, errors


def _run(file: Path, inputs: Arrays) -> dict[str, NDArray[np.float32]]:
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    count = len(next(iter(inputs.values())))
    batches = [
        session.run(names, {name: array[start : start + BATCH] for name, array in inputs.items()})
        for start in range(0, count, BATCH)
    ]
    return {name: np.concatenate([batch[i] for batch in batches]) for i, name in enumerate(names)}
