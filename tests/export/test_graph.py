"""The serving graph against autograd and PyTorch Geometric."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from export.graph import IMAGENET_MEAN, IMAGENET_STD, ImageClassifier, serving_graph
from export.models import all_specs
from export.nets.gcn import DenseGCN, SolubilityGCN
from export.nets.heads import ExplainedHead
from export.parity import image_reference, molecule_reference
from export.samples import MOLECULES, generated
from preprocess.image import images_to_pixels
from preprocess.molecule import ATOM_FEATURES, molecules_to_graphs
from tests.conftest import SampleData

IMAGE_SPECS = [spec for spec in all_specs().values() if spec.graph == "image_classifier"]


def _settle(net: nn.Module) -> nn.Module:
    """Give batch norms and biases values that matter, as training would."""
    torch.manual_seed(1)
    for module in net.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.3)
            module.running_var.uniform_(0.5, 1.5)
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, 0, 0.3)
    return net.eval()


HEADS = {
    "linear": nn.Linear(32, 5),
    "mlp": nn.Sequential(nn.Linear(32, 16), nn.ReLU(), nn.Dropout(), nn.Linear(16, 5)),
    "dropout first": nn.Sequential(nn.Dropout(), nn.Linear(32, 16), nn.ReLU(), nn.Linear(16, 5)),
    "norms": nn.Sequential(
        nn.Linear(32, 16),
        nn.BatchNorm1d(16),
        nn.ReLU(),
        nn.Linear(16, 8),
        nn.ReLU(),
        nn.BatchNorm1d(8),
        nn.Linear(8, 5),
    ),
}


@pytest.mark.parametrize("kind", HEADS)
def test_the_closed_form_gradient_is_autograds(kind: str) -> None:
    head = _settle(HEADS[kind])
    pooled = torch.randn(20, 32, requires_grad=True)
    logits = head(pooled)
    (expected,) = torch.autograd.grad(logits.gather(1, logits.argmax(1, keepdim=True)).sum(), pooled)
    explained, gradient = ExplainedHead(head).eval()(pooled)
    assert torch.equal(explained, logits)
    assert torch.allclose(gradient, expected, rtol=0, atol=1e-6)


def test_a_head_that_is_not_piecewise_linear_is_refused() -> None:
    with pytest.raises(TypeError, match="GELU"):
        ExplainedHead(nn.Sequential(nn.Linear(4, 4), nn.GELU(), nn.Linear(4, 2)))


def _against_reference(spec, pixels: np.ndarray) -> dict[str, float]:
    torch.manual_seed(spec.weights.seed)
    net = _settle(spec.build())
    expected = image_reference(net, spec, {"pixels": pixels})
    with torch.no_grad():
        probabilities, uncertainty, heatmap, _ = serving_graph(net, spec)(torch.from_numpy(pixels))
    got = {"probabilities": probabilities, "uncertainty": uncertainty, "heatmap": heatmap}
    return {name: float(np.abs(got[name].numpy() - expected[name]).max()) for name in got}


@pytest.mark.parametrize("spec", IMAGE_SPECS, ids=lambda spec: spec.name)
def test_probabilities_uncertainty_and_grad_cam(spec) -> None:
    errors = _against_reference(spec, generated(spec, 4)["pixels"])
    assert errors["probabilities"] <= 1e-5
    assert errors["uncertainty"] <= 1e-5
    assert errors["heatmap"] <= 1e-3


@pytest.mark.parametrize("spec", IMAGE_SPECS, ids=lambda spec: spec.name)
def test_grad_cam_on_real_films(spec, sample_data: SampleData) -> None:
    films = [file.path.read_bytes() for file in sample_data.files("cxr")[::12]]
    assert len(films) >= 10
    assert _against_reference(spec, images_to_pixels(films, 224)["pixels"])["heatmap"] <= 1e-3


def test_temperature_softens_and_keeps_the_label() -> None:
    spec = IMAGE_SPECS[0]
    net = _settle(spec.build())
    pixels = torch.from_numpy(generated(spec, 3)["pixels"])
    with torch.no_grad():
        sharp, sharp_uncertainty, *_ = ImageClassifier(net, spec, 1.0)(pixels)
        soft, soft_uncertainty, *_ = ImageClassifier(net, spec, 3.0)(pixels)
        mean, std = (torch.tensor(values).view(3, 1, 1) for values in (IMAGENET_MEAN, IMAGENET_STD))
        logits = net((pixels / 255 - mean) / std)
    assert torch.equal(sharp.argmax(1), soft.argmax(1))
    assert torch.allclose(soft, torch.softmax(logits / 3, 1), atol=1e-5)
    assert (soft_uncertainty > sharp_uncertainty).all()


@pytest.mark.parametrize("pool", ["mean", "sum"])
def test_the_dense_gcn_is_pytorch_geometrics(pool: str) -> None:
    net = _settle(SolubilityGCN(pool))
    graphs = molecules_to_graphs([smiles.encode() for smiles in MOLECULES])
    expected = molecule_reference(net, all_specs()["solubility"], graphs)["log_s"]
    with torch.no_grad():
        together = DenseGCN(net)(*(torch.from_numpy(graphs[name]) for name in ("atoms", "bonds", "mask"))).numpy()
    assert np.abs(together - expected).max() <= 1e-5
    # Padding changes nothing: the same molecule in a larger bucket.
    wide = molecules_to_graphs([MOLECULES[0].encode(), b"C" * 200])
    with torch.no_grad():
        padded = DenseGCN(net)(*(torch.from_numpy(wide[name]) for name in ("atoms", "bonds", "mask"))).numpy()
    assert padded[0] == pytest.approx(expected[0], abs=1e-5)


def test_atoms_of_unknown_elements_are_counted() -> None:
    from export.graph import UNKNOWN_ELEMENT

    assert ATOM_FEATURES[UNKNOWN_ELEMENT] == "is another element"
    spec = all_specs()["solubility"]
    graphs = molecules_to_graphs([b"CCO", b"[Pt](Cl)(Cl)(N)N", b"*C.[He]"])
    with torch.no_grad():
        _, summary = serving_graph(spec.build(), spec)(*(torch.from_numpy(array) for array in graphs.values()))
    assert summary[:, 3].tolist() == [0, 1, 2]


@pytest.mark.parametrize("spec", all_specs().values(), ids=lambda spec: spec.name)
def test_parameters_are_the_source_projects(spec) -> None:
    assert sum(parameter.numel() for parameter in spec.build().parameters()) == spec.parameters
