"""An artefact against PyTorch FP32 on the same inputs: names, shapes, values; no number, no artefact."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from export.graph import IMAGENET_MEAN, IMAGENET_STD
from export.spec import ModelSpec

Arrays = Mapping[str, NDArray[np.generic]]
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


def compare(spec: ModelSpec, net: nn.Module, file: Path, inputs: Arrays, source: str) -> Parity:
    """Run both and hold the difference against the spec's gate.

    Args:
        spec: the model's declaration.
        net: the network as the source project runs it, with the same weights.
        file: the ONNX artefact.
        inputs: net inputs by name, [N, ...].
        source: said of the inputs in the card.

    Raises:
        ParityError: lists every output that is missing, wrongly shaped or beyond its bound.
    """
    expected = REFERENCES[spec.graph](net.eval(), spec, inputs)
    got = _run(file, inputs)
    complaints, errors = _differences(spec, expected, got)
    samples = len(next(iter(inputs.values())))
    if complaints:
        raise ParityError(
            f"{spec.name}/{file.name} vs torch, {samples} samples ({source})\n  "
            + "\n  ".join(complaints)
            + "\nNot published. The graph or the exporter is wrong; see export/graph.py."
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
        bound = spec.gate.heatmap if output.name == "heatmap" else spec.gate.fp32
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


def image_reference(net: nn.Module, spec: ModelSpec, inputs: Arrays) -> dict[str, NDArray[np.float32]]:
    """The source project's way: normalise, run, softmax; Grad-CAM by autograd on a hooked layer.

    Shares nothing with `export.graph` but ImageNet's constants.
    """
    answers: dict[str, list[NDArray[np.float32]]] = {"probabilities": [], "uncertainty": [], "heatmap": []}
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (IMAGENET_MEAN, IMAGENET_STD))
    for pixels in inputs["pixels"]:
        scaled = torch.from_numpy(np.array(pixels)).float() / 255
        logits, cam = _autograd_cam(net, spec.feature_map, ((scaled - mean) / std)[None])
        probabilities = torch.softmax(logits, 1)
        entropy = torch.distributions.Categorical(probs=probabilities).entropy()
        answers["probabilities"].append(probabilities[0].numpy())
        answers["uncertainty"].append((entropy / np.log(len(spec.labels))).numpy())
        answers["heatmap"].append(cam.numpy())
    return {name: np.stack(values) for name, values in answers.items()}


def _autograd_cam(net: nn.Module, layer: str, image: Tensor) -> tuple[Tensor, Tensor]:
    """(logits [1, C], Grad-CAM [h, w] of the predicted class) of one normalised image."""
    kept: list[Tensor] = []
    with net.get_submodule(layer).register_forward_hook(lambda _module, _inputs, output: kept.append(output)):
        logits = net(image)
    (gradient,) = torch.autograd.grad(logits[0, logits[0].argmax()], kept[0])
    cam = torch.relu((kept[0] * gradient.mean((2, 3), keepdim=True)).sum(1))[0].detach()
    cam = cam - cam.min()
    # Scaled by the largest value; a map that is nought everywhere stays so.
    return logits.detach(), cam / cam.max() if cam.max() > 0 else cam


def molecule_reference(net: nn.Module, _spec: ModelSpec, inputs: Arrays) -> dict[str, NDArray[np.float32]]:
    """PyTorch Geometric on sparse graphs, one molecule at a time, padding cut off."""
    answers = []
    for atoms, bonds, mask in zip(inputs["atoms"], inputs["bonds"], inputs["mask"], strict=True):
        count = int(mask.sum())
        edges = torch.from_numpy(np.stack(np.nonzero(bonds)).astype(np.int64))
        with torch.no_grad():
            answers.append(net(torch.from_numpy(atoms[:count]), edges, torch.zeros(count, dtype=torch.int64)).numpy())
    return {"log_s": np.concatenate(answers)}


REFERENCES: dict[str, Callable[[nn.Module, ModelSpec, Arrays], dict[str, NDArray[np.float32]]]] = {
    "image_classifier": image_reference,
    "molecule_regressor": molecule_reference,
}
