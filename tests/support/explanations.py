"""Heat maps of real images: what the serving graph computes, against autograd and the grad-cam package."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from export.graphs import serving_graph
from export.references import normalised, reference
from export.samples import net_inputs
from export.spec import ModelSpec
from tests.support.samples import SampleData

FOLDERS = {"image": "cxr", "ct": "brain_ct", "mri": "brain_mri"}
OF_MODEL = {"skin_lesion": "derm", "skin_lesion_medgemma": "derm", "brain_ct": "brain_ct", "brain_mri": "brain_mri"}
IMAGES = 10


def settle(net: nn.Module) -> nn.Module:
    """Give batch norms and biases values that matter, as training would."""
    torch.manual_seed(1)
    for module in net.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.3)
            module.running_var.uniform_(0.5, 1.5)
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, 0, 0.3)
    return net.eval()


def built(spec: ModelSpec) -> nn.Module:
    """Return the network of a model definition with seeded weights, settled."""
    torch.manual_seed(spec.weights.seed)
    return settle(spec.build())


def answers(graph: nn.Module, spec: ModelSpec, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return the outputs of a serving graph by name."""
    with torch.no_grad():
        outputs = graph(*(torch.from_numpy(array) for array in inputs.values()))
    return {output.name: array.numpy() for output, array in zip(spec.outputs, outputs, strict=False)}


@dataclass(frozen=True)
class Explanation:
    """Real images, and the outputs of a network's serving graph for them."""

    spec: ModelSpec
    net: nn.Module
    inputs: dict[str, np.ndarray]
    ours: dict[str, np.ndarray]


def explained(spec: ModelSpec, data: SampleData) -> Explanation:
    """Run a model's serving graph on `IMAGES` real images of its kind."""
    sent = []
    for given in spec.step.inputs:
        files = data.files(OF_MODEL.get(spec.name, FOLDERS[given.name]))
        images = [file.path.read_bytes() for file in files[:: len(files) // IMAGES][:IMAGES]]
        assert len(images) == IMAGES
        sent.append(images)
    net, inputs = built(spec), net_inputs(spec.step, *sent)
    return Explanation(spec, net, inputs, answers(serving_graph(net, spec), spec, inputs))


def check_autograd(explanation: Explanation) -> None:
    """Raise AssertionError unless every heat map is autograd's: max |Δ| ≤ 1e-3, Pearson ≥ 0.999."""
    spec = explanation.spec
    wanted = reference(explanation.net, spec, explanation.inputs)
    for image in spec.explained:
        ours, autograds = explanation.ours[image.heatmap], wanted[image.heatmap]
        worst = np.abs(ours - autograds).max()
        alike = min(_pearson(a, b) for a, b in zip(ours, autograds, strict=True) if np.ptp(b))
        print(f"{spec.name} {image.heatmap}: {IMAGES} images, max|Δ| {worst:.1e}, Pearson ≥ {alike:.6f}")
        assert sum(np.ptp(b) > 0 for b in autograds) >= 8, "maps that show nothing prove nothing"
        assert worst <= 1e-3
        assert alike >= 0.999


class _Logits(nn.Module):
    """The class scores alone, as the grad-cam package wants them."""

    def __init__(self, net: nn.Module, modality: str) -> None:
        super().__init__()
        self.net, self.modality = net, modality

    def forward(self, images: Tensor) -> Tensor:
        return self.net({self.modality: images})[0] if self.modality else self.net(images)


def check_package(explanation: Explanation) -> None:
    """Raise AssertionError unless every heat map is the grad-cam package's: Pearson ≥ 0.999. Skips without it."""
    package = pytest.importorskip("pytorch_grad_cam", reason="needs grad-cam")
    spec, net = explanation.spec, explanation.net
    if spec.graph == "fusion_classifier":
        pytest.skip("the package explains networks of one image; autograd explains this one")
    (image,) = spec.explained
    layer = net.get_submodule(image.feature_map)
    layer.requires_grad_(requires_grad=True)  # a tape from here on
    with package.GradCAM(_Logits(net, "mri" if spec.graph == "staged_classifier" else ""), [layer]) as cam:
        pairs = [
            (map_, cam(normalised(torch.from_numpy(np.array(pixels))), targets=None)[0])  # enlarged to the image
            for pixels, map_ in zip(explanation.inputs[image.pixels], explanation.ours[image.heatmap], strict=True)
        ]
    alike = [_pearson(_enlarged(ours, theirs.shape), theirs) for ours, theirs in pairs if np.ptp(theirs)]
    print(f"{spec.name}: {len(alike)} images against grad-cam, Pearson ≥ {min(alike):.6f}")
    assert len(alike) >= 8
    assert min(alike) >= 0.999


def _enlarged(map_: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    import cv2

    return cv2.resize(map_, shape[::-1])


def _pearson(one: np.ndarray, other: np.ndarray) -> float:
    return float(np.corrcoef(one.ravel(), other.ravel())[0, 1])
