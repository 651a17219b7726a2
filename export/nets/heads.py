"""Classifier heads: their shape read from a checkpoint, their gradient in closed form."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor, nn

MOST_LAYERS = 32


def head_from_state(state: Mapping[str, Tensor], prefix: str) -> nn.Module:
    """The head whose keys `state` holds below `prefix`.

    A source project saves a ResNet50 head as `fc.weight` or as an `nn.Sequential` whose indices
    tell its layers: a 2-D weight is a Linear, a 1-D weight a BatchNorm1d. Of the indices without
    parameters the first after each hidden layer is its ReLU; the others are dropout, which does
    nothing at inference.

    Args:
        state: the checkpoint's tensors by name.
        prefix: the head's name in the network, such as "fc".

    Raises:
        ValueError: no head below `prefix`, or two Linear layers with no place for a ReLU between.
    """
    own = {key[len(prefix) + 1 :]: value for key, value in state.items() if key.startswith(prefix + ".")}
    if "weight" in own:
        return nn.Linear(own["weight"].shape[1], own["weight"].shape[0], bias="bias" in own)
    indices = sorted({int(key.split(".")[0]) for key in own if key.split(".")[0].isdigit()})
    if not indices or indices[-1] > MOST_LAYERS:
        raise ValueError(f"head {prefix!r}: expected {prefix}.weight or {prefix}.<n>.weight, got {sorted(own)[:4]}")
    last = own.get(f"{indices[-1]}.weight")
    if last is None or last.dim() != 2:
        raise ValueError(f"head {prefix!r}: expected a Linear as its last layer, got {prefix}.{indices[-1]}")
    layers: list[nn.Module] = []
    needs_relu = False
    for index in range(indices[-1] + 1):
        weight = own.get(f"{index}.weight")
        if weight is None:
            layers.append(nn.ReLU() if needs_relu else nn.Dropout())
            needs_relu = False
        elif weight.dim() == 1:
            layers.append(nn.BatchNorm1d(weight.shape[0]))
        elif needs_relu:
            raise ValueError(
                f"head {prefix!r}: expected a place for a ReLU before {prefix}.{index}, got two Linear layers in a row"
            )
        else:
            layers.append(nn.Linear(weight.shape[1], weight.shape[0], bias=f"{index}.bias" in own))
            needs_relu = True
    return nn.Sequential(*layers)


class ExplainedHead(nn.Module):
    """A head that also returns the gradient of the predicted logit, by ordinary forward ops.

    Autograd does not export. A head of Linear, ReLU, BatchNorm1d (inference) and dropout is piecewise
    linear, so its gradient is the product of its weights and ReLU masks: exact, and a few
    multiplications.

    Args:
        head: nn.Linear, or nn.Sequential of the four kinds above ending in a Linear.

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
        if isinstance(part, nn.Linear | nn.ReLU | nn.BatchNorm1d):
            yield part
        elif not isinstance(part, nn.Dropout | nn.Identity):
            raise TypeError(f"head: expected Linear, ReLU, BatchNorm1d or Dropout, got {type(part).__name__}")


def _pull_back(layer: nn.Module, gradient: Tensor, seen: Tensor) -> Tensor:
    """The gradient at the layer's input `seen`, from that at its output."""
    if isinstance(layer, nn.Linear):
        return gradient @ layer.weight
    if isinstance(layer, nn.BatchNorm1d):
        return gradient * frozen_scale(layer)
    return gradient * (seen > 0).to(gradient.dtype)


def frozen_scale(norm: nn.BatchNorm1d) -> Tensor:
    """What a BatchNorm multiplies by at inference, [K]."""
    if norm.running_var is None:
        raise TypeError("BatchNorm1d: expected running statistics, got none")
    return norm.weight * torch.rsqrt(norm.running_var + norm.eps)
