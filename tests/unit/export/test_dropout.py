"""MC dropout: the graph's twenty fixed masks against PyTorch's own, random ones."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from export.graphs import serving_graph
from export.loading import loaded_net
from export.nets.dropout import MonteCarloHead, balanced_masks
from export.samples import net_inputs
from export.spec import ModelSpec
from tests.support.samples import SAMPLES, SampleData
from tests.support.specs import affordable_specs

SPECS = [spec for spec in affordable_specs().values() if spec.mc_passes]
PASSES = 2000


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


def _stochastic(net: nn.Module, spec: ModelSpec, pooled: torch.Tensor) -> torch.Tensor:
    """[PASSES, B, C] probabilities of PyTorch's own dropout, switched on; torchvision's works in place."""
    head = net.get_submodule(spec.head)
    for part in head.modules():
        if isinstance(part, nn.Dropout):
            part.train()
    torch.manual_seed(11)
    with torch.no_grad():
        return torch.stack([torch.softmax(head(pooled.clone()), 1) for _ in range(PASSES)])


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.name)
def test_mean_and_variance_are_those_of_2000_random_passes(spec: ModelSpec, sample_data: SampleData) -> None:
    checkpoint = SAMPLES / "checkpoints" / spec.weights.filename
    net, weights = loaded_net(spec, checkpoint if checkpoint.is_file() else None)
    if not weights.trained:  # untrained logits hardly differ: make them
        torch.manual_seed(2)
        for part in net.get_submodule(spec.head).modules():
            if isinstance(part, nn.Linear):
                nn.init.normal_(part.weight, 0, 4 * part.in_features**-0.5)
    files = sample_data.files("derm" if spec.name.startswith("skin") else "cxr")[::20][:8]
    (pixels,) = (torch.from_numpy(a) for a in net_inputs(spec.step, [f.path.read_bytes() for f in files]).values())
    graph = serving_graph(net, spec)
    with torch.no_grad():
        *_, mean, variance, aleatoric, epistemic, summary = graph(pixels)
        *_, again = graph(pixels)
        pooled = graph.encoder(pixels).mean((2, 3))
    random = _stochastic(net, spec, pooled)
    true_mean, true_variance = random.mean(0), random.var(0)
    # Standard errors of T = 20 independent passes and of the 2,000; the kurtosis gives the variance's.
    t = spec.mc_passes
    fourth = (random - true_mean).pow(4).mean(0)
    mean_error = (true_variance * (1 / t + 1 / PASSES)).sqrt()
    variance_error = ((fourth - true_variance**2).clamp(min=0) * (1 / t + 1 / PASSES)).sqrt()
    mean_z = ((mean - true_mean).abs() / mean_error.clamp(min=1e-9)).max()
    variance_z = ((variance - true_variance).abs() / variance_error.clamp(min=1e-9)).max()
    total = -(mean * mean.clamp(min=1e-30).log()).sum(1, keepdim=True) / np.log(len(spec.labels))
    gap = (aleatoric + epistemic - total).abs().max()
    print(
        f"{spec.name}: mean off by {mean_z:.2f}, variance by {variance_z:.2f} standard errors of 20 random passes; "
        f"|aleatoric + epistemic - total| {gap:.1e}; largest variance {true_variance.max():.1e}"
    )
    assert true_variance.max() > 1e-6, "dropout that changes nothing proves nothing"
    assert mean_z <= 4
    assert variance_z <= 4
    assert gap <= 1e-5
    assert torch.equal(summary, again)
