"""A head that explains itself: the gradient of its predicted logit in closed form."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

_TINY = 1e-12  # torch.nn.functional.normalize's guard


class L2Normalize(nn.Module):
    """Features [B, K] divided by their length."""

    def forward(self, features: Tensor) -> Tensor:
        return features / length(features)


def length(features: Tensor) -> Tensor:
    """Euclidean length [B, 1] of features [B, K], kept from nought as PyTorch's `normalize` keeps it."""
    return torch.sqrt((features * features).sum(1, keepdim=True)).clamp(min=_TINY)


class ExplainedHead(nn.Module):
    """A head that also returns the gradient of the predicted logit, by ordinary forward ops.

    Autograd does not export. A head of Linear, ReLU, BatchNorm1d (inference) and dropout is piecewise
    linear, so its gradient is the product of its weights and ReLU masks: exact, and a few
    multiplications. L2 normalisation adds one projection.

    Args:
        head: nn.Linear, or nn.Sequential of the kinds above ending in a Linear.

    Raises:
        TypeError: another kind of layer.
    """

    def __init__(self, head: nn.Module) -> None:
        super().__init__()
        *hidden, last = _linear_parts(head)
        if not isinstance(last, nn.Linear):
            raise TypeError(f"head: expected to end in nn.Linear, got {type(last).__name__}")
        self.hidden = nn.ModuleList(hidden)
        self.last = last

    def forward(self, pooled: Tensor) -> tuple[Tensor, Tensor]:
        """Logits [B, C] and d logit[argmax] / d pooled [B, K], for pooled features [B, K]."""
        x, inputs = pooled, []
        for layer in self.hidden:
            inputs.append(x)
            x = layer(x)
        logits: Tensor = self.last(x)
        gradient = torch.index_select(self.last.weight, 0, logits.argmax(1))
        for layer, seen in zip(reversed(self.hidden), reversed(inputs), strict=True):
            gradient = _pull_back(layer, gradient, seen)
        return logits, gradient


def _linear_parts(head: nn.Module) -> Iterable[nn.Module]:
    parts = list(head) if isinstance(head, nn.Sequential) else [head]
    for part in parts:
        if isinstance(part, nn.Linear | nn.ReLU | nn.BatchNorm1d | L2Normalize):
            yield part
        elif not isinstance(part, nn.Dropout | nn.Identity):
            raise TypeError(
                f"head: expected Linear, ReLU, BatchNorm1d, L2Normalize or Dropout, got {type(part).__name__}"
            )


def _pull_back(layer: nn.Module, gradient: Tensor, seen: Tensor) -> Tensor:
    """The gradient at the layer's input `seen`, from that at its output."""
    if isinstance(layer, nn.Linear):
        return gradient @ layer.weight
    if isinstance(layer, nn.BatchNorm1d):
        return gradient * frozen_scale(layer)
    if isinstance(layer, L2Normalize):
        size = length(seen)
        unit = seen / size
        return (gradient - (gradient * unit).sum(1, keepdim=True) * unit) / size
    return gradient * (seen > 0).to(gradient.dtype)


def frozen_scale(norm: nn.BatchNorm1d) -> Tensor:
    """What a BatchNorm multiplies by at inference, [K]."""
    if norm.running_var is None:
        raise TypeError("BatchNorm1d: expected running statistics, got none")
    return norm.weight * torch.rsqrt(norm.running_var + norm.eps)
