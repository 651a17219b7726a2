"""What PyTorch computes, the source projects' way: the other side of every comparison.

Shares nothing with `export.graphs` but ImageNet's constants and the dropout masks.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from export.graphs.parts import IMAGENET_MEAN, IMAGENET_STD
from export.nets.dropout import MonteCarloHead
from export.spec import ModelSpec

Arrays = Mapping[str, NDArray[np.generic]]
Answers = dict[str, NDArray[np.float32]]


def reference(net: nn.Module, spec: ModelSpec, inputs: Arrays, temperature: float = 1.0) -> Answers:
    """The spec's outputs by name, [N, ...], of a network in inference mode in eager PyTorch.

    One item at a time: normalise, run, softmax; Grad-CAM by autograd on a hooked layer.

    Args:
        net: the network with its weights.
        spec: the model's declaration.
        inputs: net inputs by name, [N, ...].
        temperature: divides a classifier's logits.
    """
    one = _REFERENCES[spec.graph]
    net.requires_grad_(requires_grad=False)  # no tape of the encoder: gigabytes, for a large one
    count = len(next(iter(inputs.values())))
    answers = [
        one(net, spec, {name: torch.from_numpy(np.array(array[item])) for name, array in inputs.items()}, temperature)
        for item in range(count)
    ]
    return {name: np.stack([answer[name].numpy() for answer in answers]) for name in answers[0]}


def normalised(pixels: Tensor) -> Tensor:
    """[1, 3, H, W] for the network, of UINT8 [3, H, W]."""
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (IMAGENET_MEAN, IMAGENET_STD))
    return ((pixels.float() / 255 - mean) / std)[None]


def _image(net: nn.Module, spec: ModelSpec, item: Mapping[str, Tensor], temperature: float) -> dict[str, Tensor]:
    (picture,) = spec.explained
    with _kept(net, picture.feature_map) as maps:
        logits = net(normalised(item[picture.pixels]))
    answer = _classified(logits, temperature) | {picture.heatmap: _grad_cam(logits, maps[0])}
    return answer | (_sampled(net, spec, maps[0], temperature) if spec.mc_passes else {})


def _staged(net: nn.Module, spec: ModelSpec, item: Mapping[str, Tensor], temperature: float) -> dict[str, Tensor]:
    pictures = {picture.feature_map.split(".")[1]: picture for picture in spec.explained}
    sent = {
        modality: normalised(item[picture.pixels])
        for modality, picture in pictures.items()
        if not picture.present or item[picture.present] > 0
    }
    kept: dict[str, list[Tensor]] = {}
    with contextlib.ExitStack() as stack:
        for modality in sent:
            kept[modality] = stack.enter_context(_kept(net, pictures[modality].feature_map))
        logits, stage, survival = net(sent)
    heatmaps = {
        picture.heatmap: _grad_cam(logits, kept[modality][0]) if modality in sent else torch.zeros(7, 7)
        for modality, picture in pictures.items()
    }
    figures = {"stage": stage[0].detach(), "survival_risk": survival[0].detach()}
    return _classified(logits, temperature) | heatmaps | figures


def _molecule(net: nn.Module, _spec: ModelSpec, item: Mapping[str, Tensor], _temperature: float) -> dict[str, Tensor]:
    """PyTorch Geometric on a sparse graph, padding cut off."""
    count = int(item["mask"].sum())
    edges = item["bonds"].nonzero().T.contiguous()
    with torch.no_grad():
        log_s, half = net(item["atoms"][:count], edges, torch.zeros(count, dtype=torch.int64))
    return {"log_s": log_s[0], "interval": torch.cat((log_s[0] - half[0], log_s[0] + half[0]))}


_REFERENCES: dict[str, Callable[[nn.Module, ModelSpec, Mapping[str, Tensor], float], dict[str, Tensor]]] = {
    "image_classifier": _image,
    "staged_classifier": _staged,
    "fusion_classifier": _staged,
    "molecule_regressor": _molecule,
}


@contextmanager
def _kept(net: nn.Module, layer: str) -> Iterator[list[Tensor]]:
    """A list that holds what the layer put out, and from where on autograd keeps its tape."""
    kept: list[Tensor] = []

    def keep(_module: nn.Module, _inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
        kept.append(output.detach().requires_grad_())
        return kept[-1]

    with net.get_submodule(layer).register_forward_hook(keep):
        yield kept


def _classified(logits: Tensor, temperature: float) -> dict[str, Tensor]:
    probabilities = torch.softmax(logits.detach() / temperature, 1)
    entropy = torch.distributions.Categorical(probs=probabilities).entropy()
    return {"probabilities": probabilities[0], "uncertainty": entropy / np.log(probabilities.shape[1])}


def _grad_cam(logits: Tensor, feature_map: Tensor) -> Tensor:
    """Grad-CAM [h, w] of the predicted class."""
    (gradient,) = torch.autograd.grad(logits[0, logits[0].argmax()], feature_map, retain_graph=True)
    cam = torch.relu((feature_map * gradient.mean((2, 3), keepdim=True)).sum(1))[0].detach()
    cam = cam - cam.min()
    # Scaled by the largest value; a map that is nought everywhere stays so.
    return cam / cam.max() if cam.max() > 0 else cam


def _sampled(net: nn.Module, spec: ModelSpec, feature_map: Tensor, temperature: float) -> dict[str, Tensor]:
    """MC dropout under the graph's own masks; that they stand for random ones is another test's matter."""
    head = MonteCarloHead(net.get_submodule(spec.head), spec.mc_passes)
    with torch.no_grad():
        each = torch.softmax(head(feature_map.detach().mean((2, 3)))[0] / temperature, 1)
    mean = each.mean(0)
    entropy, total = (torch.distributions.Categorical(probs=p).entropy() / np.log(len(mean)) for p in (each, mean))
    aleatoric = entropy.mean().view(1)
    return {
        "mc_probabilities": mean,
        "mc_variance": each.var(0, unbiased=False),
        "aleatoric": aleatoric,
        "epistemic": (total - aleatoric).clamp(min=0.0),
    }
