"""The network of a model with the weights that it is to be served with."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from export.artefact import WEIGHTS, shipped_sha256
from export.checkpoints import Checkpoint, CheckpointError, load
from export.nets.heads import head_from_state
from export.spec import ModelSpec, Shipped
from report.card import WeightsOrigin


def loaded_net(spec: ModelSpec, checkpoint: Path | None) -> tuple[nn.Module, WeightsOrigin]:
    """The network in inference mode, and where its weights come from.

    The checkpoint's, or else those that the repository ships, or else random ones from the spec's seed.

    Raises:
        CheckpointError: the checkpoint does not fit.
        ValueError: `build()` makes a network of another size than the spec says.
    """
    if checkpoint is None and spec.shipped is not None:
        return _shipped_net(spec, spec.shipped)
    torch.manual_seed(spec.weights.seed)
    net = spec.build().eval()
    _check_parameters(spec, net, spec.parameters)
    if checkpoint is None:
        return net, WeightsOrigin(trained=False, seed=spec.weights.seed)
    loaded = load(checkpoint, spec)
    fill(net, loaded, spec)
    return net.eval(), WeightsOrigin(trained=True, checkpoint=checkpoint.name, checkpoint_sha256=loaded.sha256)


def _shipped_net(spec: ModelSpec, shipped: Shipped) -> tuple[nn.Module, WeightsOrigin]:
    net = shipped.build().eval()
    _check_parameters(spec, net, shipped.parameters)
    complaints = _mismatches(net.state_dict(), state := load_file(WEIGHTS / shipped.file))
    if complaints:
        raise CheckpointError(f"{spec.name}: {shipped.file} does not fit the network:\n  " + "\n  ".join(complaints))
    net.load_state_dict(state, strict=False)
    return net, WeightsOrigin(
        trained=True,
        checkpoint=shipped.file,
        checkpoint_sha256=shipped_sha256(shipped),
        shipped=True,
        figures=shipped.figures,
    )


def _check_parameters(spec: ModelSpec, net: nn.Module, expected: int) -> None:
    count = sum(parameter.numel() for parameter in net.parameters())
    if count != expected:
        raise ValueError(f"{spec.name}: build(): expected {expected:,} parameters, got {count:,}")


def fill(net: nn.Module, checkpoint: Checkpoint, spec: ModelSpec) -> None:
    """Put the checkpoint's weights into the network, all of them.

    A classifier's head takes the shape that the checkpoint's keys tell (`heads.head_from_state`).

    Raises:
        CheckpointError: class names in another order, keys missing, unexpected or wrongly shaped, or a head
            without dropout where the spec samples it.
    """
    state = {_renamed(key, spec): value for key, value in checkpoint.state.items()}
    names = checkpoint.class_names
    if names and tuple(map(str.casefold, names)) != tuple(map(str.casefold, spec.labels)):
        raise CheckpointError(
            f"{spec.name}: {checkpoint.path}: class_names: expected {list(spec.labels)} in this order, "
            f"got {list(names)}. A wrong order would swap diagnoses: correct the spec or the file."
        )
    if spec.head and _keys_below(net.state_dict(), spec.head) != _keys_below(state, spec.head):
        try:
            net.set_submodule(spec.head, head_from_state(state, spec.head, _dropout_rate(net, spec.head)))
        except ValueError as exc:
            raise CheckpointError(f"{spec.name}: {checkpoint.path}: {exc}") from exc
    if spec.mc_passes and not any(isinstance(part, nn.Dropout) and part.p for part in _head(net, spec).modules()):
        raise CheckpointError(
            f"{spec.name}: {checkpoint.path}: expected a head with dropout, got one without: its doubt cannot be "
            "sampled, and nought would be a lie. Set mc_passes=0 in the spec and leave out the outputs of MC dropout."
        )
    complaints = _mismatches(net.state_dict(), state)
    if complaints:
        raise CheckpointError(f"{spec.name}: {checkpoint.path} does not fit the network:\n  " + "\n  ".join(complaints))
    net.load_state_dict(state, strict=False)  # the batch counters alone may be missing


def _renamed(key: str, spec: ModelSpec) -> str:
    for pattern, replacement in spec.weights.renames:
        key = re.sub(pattern, replacement, key)
    return key


def _head(net: nn.Module, spec: ModelSpec) -> nn.Module:
    return net.get_submodule(spec.head)


def _dropout_rate(net: nn.Module, head: str) -> float:
    """Of the head as declared: a checkpoint's keys do not tell it."""
    return next((part.p for part in net.get_submodule(head).modules() if isinstance(part, nn.Dropout)), 0.5)


def _keys_below(state: Mapping[str, Tensor], prefix: str) -> dict[str, tuple[int, ...]]:
    return {key: tuple(value.shape) for key, value in state.items() if key.startswith(prefix + ".")}


def _mismatches(expected: Mapping[str, Tensor], got: Mapping[str, Tensor]) -> list[str]:
    """One line for each missing, unexpected or wrongly shaped key."""
    # Counts of training batches: they play no part at inference, and some projects drop them.
    wanted = {k: v for k, v in expected.items() if not k.endswith("num_batches_tracked")}
    lines = [f"missing: {key} {tuple(value.shape)}" for key, value in wanted.items() if key not in got]
    lines += [f"unexpected: {key} {tuple(value.shape)}" for key, value in got.items() if key not in expected]
    lines += [
        f"wrong shape: {key}: expected {tuple(value.shape)}, got {tuple(got[key].shape)}"
        for key, value in wanted.items()
        if key in got and got[key].shape != value.shape
    ]
    return lines
