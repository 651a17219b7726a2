"""MC dropout: the graph's fixed masks against PyTorch's own, random ones."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from export.graphs import serving_graph
from export.spec import ModelSpec

PASSES = 2000


def check_against_random_passes(spec: ModelSpec, net: nn.Module, inputs: dict[str, np.ndarray]) -> None:
    """Raise AssertionError unless mean and variance are those of random masks, within four standard errors.

    Args:
        spec: of a model with MC dropout.
        net: its network, in evaluation mode.
        inputs: of the serving graph: pixels [B, 3, H, W].
    """
    (pixels,) = map(torch.from_numpy, inputs.values())
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


def _stochastic(net: nn.Module, spec: ModelSpec, pooled: torch.Tensor) -> torch.Tensor:
    """[PASSES, B, C] probabilities of PyTorch's own dropout, switched on; torchvision's works in place."""
    head = net.get_submodule(spec.head)
    for part in head.modules():
        if isinstance(part, nn.Dropout):
            part.train()
    torch.manual_seed(11)
    with torch.no_grad():
        return torch.stack([torch.softmax(head(pooled.clone()), 1) for _ in range(PASSES)])
