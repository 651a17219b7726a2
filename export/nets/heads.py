"""A classifier head whose shape is read from a checkpoint."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn

MOST_LAYERS = 32


def head_from_state(state: Mapping[str, Tensor], prefix: str, dropout: float = 0.5) -> nn.Module:
    """The head whose keys `state` holds below `prefix`.

    A source project saves a ResNet50 head as `fc.weight` or as an `nn.Sequential` whose indices
    tell its layers: a 2-D weight is a Linear, a 1-D weight a BatchNorm1d. Of the indices without
    parameters the first after each hidden layer is its ReLU; the others are dropout, which does
    nothing at inference.

    Args:
        state: the checkpoint's tensors by name.
        prefix: the head's name in the network, such as "fc".
        dropout: rate of the dropout layers, which the keys do not tell.

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
            layers.append(nn.ReLU() if needs_relu else nn.Dropout(dropout))
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
