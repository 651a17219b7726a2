"""MC dropout: the graph's twenty fixed masks against PyTorch's own, random ones."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from export.nets.dropout import MonteCarloHead, balanced_masks
from export.samples import generated
from export.spec import ModelSpec
from tests.support.random_passes import check_against_random_passes
from tests.support.specs import tiny_specs

SPECS = [spec for spec in tiny_specs().values() if spec.mc_passes]


@pytest.mark.parametrize(("rate", "passes"), [(0.1, 20), (0.2, 20), (0.5, 20), (0.33, 20), (0.1, 15), (0.0, 4)])
def test_masks_keep_their_rate_in_every_feature(rate: float, passes: int) -> None:
    masks = balanced_masks(passes, 4000, rate, torch.Generator().manual_seed(0))
    dropped = (masks == 0).sum(0)
    assert torch.allclose(masks[masks > 0], torch.tensor(1 / (1 - rate)))
    assert int(dropped.min()) >= int(np.floor(rate * passes))
    assert int(dropped.max()) <= int(np.ceil(rate * passes + 1e-9))
    assert masks.mean() == pytest.approx(1, abs=0.01)
    # Which of the masks drop a feature says nothing of which drop its neighbour.
    pairs = torch.corrcoef(masks.T[:200])
    if rate:
        assert pairs[~torch.eye(200, dtype=torch.bool)].mean().abs() < 0.02


def test_masks_are_the_same_every_time() -> None:
    head = nn.Sequential(nn.Linear(8, 4), nn.ReLU(), nn.Dropout(0.5), nn.Linear(4, 2))
    first, again = MonteCarloHead(head, 20), MonteCarloHead(head, 20)
    x = torch.randn(3, 8)
    assert torch.equal(first(x), again(x))
    assert first(x).shape == (3, 20, 2)


def test_norms_and_several_dropouts_run_under_each_mask() -> None:
    head = nn.Sequential(
        nn.Dropout(0.2), nn.Linear(8, 6), nn.BatchNorm1d(6), nn.ReLU(), nn.Dropout(0.5), nn.Linear(6, 2)
    ).eval()
    sampled = MonteCarloHead(head, 20).eval()
    x = torch.randn(3, 8)
    masks = [sampled.get_buffer(f"mask_{place}") for place in (0, 4)]
    for number in range(20):
        y = head[3](head[2](head[1](x * masks[0][number]))) * masks[1][number]
        assert torch.allclose(sampled(x)[:, number], head[5](y), atol=1e-6)


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.name)
def test_mean_and_variance_are_those_of_2000_random_passes(spec: ModelSpec) -> None:
    check_against_random_passes(spec, spec.build().eval(), generated(spec, 4))
