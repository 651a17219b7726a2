"""The real networks on real images: heat maps against autograd and grad-cam, MC dropout against PyTorch."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from export.loading import loaded_net
from export.samples import net_inputs
from export.spec import ModelSpec
from tests.support.explanations import Explanation, check_autograd, check_package, explained
from tests.support.random_passes import check_against_random_passes
from tests.support.samples import SAMPLES, SampleData
from tests.support.specs import affordable_specs

pytestmark = pytest.mark.slow  # seven networks of real size; tests/unit/export takes tiny ones

SPECS = [spec for spec in affordable_specs().values() if spec.explained]


@pytest.fixture(scope="module", params=SPECS, ids=lambda spec: spec.name)
def explanation(request: pytest.FixtureRequest, sample_data: SampleData) -> Explanation:
    return explained(request.param, sample_data)


def test_heat_maps_of_real_networks_are_autograds(explanation: Explanation) -> None:
    check_autograd(explanation)


def test_heat_maps_of_real_networks_are_the_grad_cam_packages(explanation: Explanation) -> None:
    check_package(explanation)


@pytest.mark.parametrize("spec", [spec for spec in SPECS if spec.mc_passes], ids=lambda spec: spec.name)
def test_mean_and_variance_of_real_networks_are_those_of_2000_random_passes(
    spec: ModelSpec, sample_data: SampleData
) -> None:
    checkpoint = SAMPLES / "checkpoints" / spec.weights.filename
    net, weights = loaded_net(spec, checkpoint if checkpoint.is_file() else None)
    if not weights.trained:  # untrained logits hardly differ: make them
        torch.manual_seed(2)
        for part in net.get_submodule(spec.head).modules():
            if isinstance(part, nn.Linear):
                nn.init.normal_(part.weight, 0, 4 * part.in_features**-0.5)
    files = sample_data.files("derm" if spec.name.startswith("skin") else "cxr")[::20][:8]
    check_against_random_passes(spec, net, net_inputs(spec.step, [file.path.read_bytes() for file in files]))
