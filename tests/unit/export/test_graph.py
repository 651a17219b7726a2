"""The serving graphs against autograd, the grad-cam package and PyTorch Geometric."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from export.graphs import serving_graph
from export.graphs.molecule import UNKNOWN_ELEMENT
from export.models import all_specs
from export.nets.explained import ExplainedHead, L2Normalize
from export.nets.gcn import DenseGCN, SolubilityEnsemble, SolubilityGCN
from export.references import reference
from export.samples import MOLECULES, generated, net_inputs
from export.spec import ModelSpec
from preprocess.molecule import ATOM_FEATURES
from tests.support.explanations import answers, built, settle
from tests.support.specs import tiny_specs

IMAGE_SPECS = [spec for spec in tiny_specs().values() if spec.explained]


HEADS = {
    "linear": nn.Linear(32, 5),
    "mlp": nn.Sequential(nn.Linear(32, 16), nn.ReLU(), nn.Dropout(), nn.Linear(16, 5)),
    "dropout first": nn.Sequential(nn.Dropout(), nn.Linear(32, 16), nn.ReLU(), nn.Linear(16, 5)),
    "l2": nn.Sequential(L2Normalize(), nn.Linear(32, 16), nn.ReLU(), nn.Linear(16, 5)),
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
    head = settle(HEADS[kind])
    pooled = torch.randn(20, 32, requires_grad=True)
    logits = head(pooled)
    (expected,) = torch.autograd.grad(logits.gather(1, logits.argmax(1, keepdim=True)).sum(), pooled)
    explained, gradient = ExplainedHead(head).eval()(pooled)
    assert torch.equal(explained, logits)
    assert torch.allclose(gradient, expected, rtol=0, atol=1e-6)


def test_a_head_that_is_not_piecewise_linear_is_refused() -> None:
    with pytest.raises(TypeError, match="GELU"):
        ExplainedHead(nn.Sequential(nn.Linear(4, 4), nn.GELU(), nn.Linear(4, 2)))


@pytest.mark.parametrize("spec", IMAGE_SPECS, ids=lambda spec: spec.name)
def test_every_output_is_the_references(spec: ModelSpec) -> None:
    net, inputs = spec.build().eval(), generated(spec, 6)
    got, wanted = answers(serving_graph(net, spec), spec, inputs), reference(net, spec, inputs)
    assert set(got) == set(wanted) == {output.name for output in spec.outputs}
    for name, array in wanted.items():
        assert np.abs(got[name] - array).max() <= (1e-3 if "heatmap" in name else 1e-5), name
    for image in spec.explained:
        assert any(map_.max() == 1 for map_ in wanted[image.heatmap]), "maps that show nothing prove nothing"


def test_temperature_softens_and_keeps_the_label() -> None:
    spec = tiny_specs()["pneumonia_cnn"]
    net = built(spec)
    nn.init.normal_(net.classifier[3].weight, 0, 1.0)
    inputs = generated(spec, 6)
    sharp, soft = (answers(serving_graph(net, spec, t), spec, inputs) for t in (1.0, 3.0))
    wanted = reference(net, spec, inputs, 3.0)
    assert (sharp["probabilities"].argmax(1) == soft["probabilities"].argmax(1)).all()
    assert np.abs(soft["probabilities"] - wanted["probabilities"]).max() <= 1e-5
    assert (soft["uncertainty"] > sharp["uncertainty"]).all()


def test_fusion_sees_what_was_sent_and_nothing_else() -> None:
    """CT alone, MRI alone and both each equal PyTorch's; what lies in an absent picture has no part in the answer."""
    spec = tiny_specs()["brain_fusion"]
    net = built(spec)
    inputs = generated(spec, 3)
    assert inputs["ct_present"].ravel().tolist() == [1, 0, 1]
    assert inputs["mri_present"].ravel().tolist() == [1, 1, 0]
    got, wanted = answers(serving_graph(net, spec), spec, inputs), reference(net, spec, inputs)
    for name, array in wanted.items():
        assert np.abs(got[name] - array).max() <= (1e-3 if "heatmap" in name else 1e-5), name
    noise = dict(inputs)
    noise["ct_pixels"] = inputs["ct_pixels"].copy()
    noise["ct_pixels"][1] = 77
    beside = answers(serving_graph(net, spec), spec, noise)
    assert all(np.array_equal(got[name], beside[name]) for name in got)
    assert not got["heatmap_ct"][1].any()
    assert not got["heatmap_mri"][2].any()
    assert got["heatmap_ct"][2].max() == 1
    assert ((got["stage"] >= 0) & (got["stage"] <= 1)).all()
    assert ((got["survival_risk"] >= 0) & (got["survival_risk"] <= 1)).all()


def _graphs(*smiles: bytes) -> dict[str, np.ndarray]:
    return net_inputs(all_specs()["solubility"].step, list(smiles))


@pytest.mark.parametrize("pool", ["mean", "sum"])
def test_the_dense_gcn_is_pytorch_geometrics(pool: str) -> None:
    spec = all_specs()["solubility"]
    net = settle(SolubilityEnsemble(3, pool, half_width=(0.5, 2.0)))
    graphs = _graphs(*(smiles.encode() for smiles in MOLECULES))
    wanted = reference(net, spec, graphs)
    got = answers(serving_graph(net, spec), spec, graphs)
    assert all(np.abs(got[name] - wanted[name]).max() <= 2e-5 for name in ("log_s", "interval"))
    assert (np.diff(got["interval"]) > 2 * np.sqrt(0.5)).all()
    # Padding changes nothing: the same molecule in a larger bucket.
    wide = _graphs(MOLECULES[0].encode(), b"C" * 200)
    assert answers(serving_graph(net, spec), spec, wide)["log_s"][0] == pytest.approx(wanted["log_s"][0], abs=2e-5)


def test_one_network_is_an_ensemble_of_one() -> None:
    net = settle(SolubilityGCN("mean"))
    ensemble = SolubilityEnsemble(1, "mean", half_width=(4.0, 0.0))
    ensemble.load_state_dict({f"members.0.{name}": value for name, value in net.state_dict().items()})
    graphs = _graphs(b"CCO")
    with torch.no_grad():
        alone = DenseGCN(net)(*(torch.from_numpy(array) for array in graphs.values()))
    answer = answers(serving_graph(ensemble, all_specs()["solubility"]), all_specs()["solubility"], graphs)
    assert answer["log_s"] == pytest.approx(alone.numpy())
    assert np.diff(answer["interval"]).item() == pytest.approx(4.0)


def test_atoms_of_unknown_elements_are_counted() -> None:
    assert ATOM_FEATURES[UNKNOWN_ELEMENT] == "is another element"
    spec = all_specs()["solubility"]
    graphs = _graphs(b"CCO", b"[Pt](Cl)(Cl)(N)N", b"*C.[He]")
    with torch.no_grad():
        *_, summary = serving_graph(spec.build(), spec)(*(torch.from_numpy(array) for array in graphs.values()))
    assert summary[:, 2 + spec.summary_fields.index("unknown_atoms")].tolist() == [0, 1, 2]


# From DESIGN's table; the other four follow from its description of their layers.
STATED = {
    "skin_lesion": 24_561_737,
    "solubility": 46_209,
    "pneumonia": 4_010_110,
    "skin_lesion_medgemma": 416_874_103,
}


@pytest.mark.parametrize("spec", all_specs().values(), ids=lambda spec: spec.name)
def test_parameters_are_the_source_projects(spec: ModelSpec) -> None:
    with torch.device("meta"):  # counts, without gigabytes
        net = spec.build()
    assert sum(parameter.numel() for parameter in net.parameters()) == spec.parameters
    assert spec.parameters == STATED.get(spec.name, spec.parameters)
