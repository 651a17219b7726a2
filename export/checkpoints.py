"""A source project's checkpoint file → a network, safely, with every mismatch named."""

from __future__ import annotations

import pickle
import re
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from export.digest import sha256_of
from export.nets.heads import head_from_state
from export.spec import ModelSpec

STATE_KEYS = ("state_dict", "model_state_dict")
# nn.DataParallel, a wrapper attribute called `model`, torch.compile.
WRAPPERS = re.compile(r"^(?:module\.|model\.|_orig_mod\.)+")


class CheckpointError(ValueError):
    """A checkpoint that is missing, unreadable, or not this model's."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What a file held: FP32 tensors by name, and the class names if it recorded them."""

    path: Path
    sha256: str
    state: dict[str, Tensor]
    class_names: tuple[str, ...] | None


def find(spec: ModelSpec, folder: Path | None, explicit: Mapping[str, Path]) -> Path | None:
    """The checkpoint of a model: the one given by name, else the one below `folder`, else None.

    Raises:
        CheckpointError: the file given is not there, or several below `folder` bear the name.
    """
    if spec.name in explicit:
        path = explicit[spec.name]
        if not path.is_file():
            raise CheckpointError(f"{spec.name}: checkpoint: expected a file, found none at {path}")
        return path
    if folder is None:
        return None
    if not folder.is_dir():
        raise CheckpointError(
            f"CHECKPOINTS: expected a folder, found none at {folder}. One file goes with its model: {spec.name}=FILE"
        )
    found = sorted(folder.rglob(spec.weights.filename))
    if len(found) > 1:
        listed = ", ".join(map(str, found))
        raise CheckpointError(
            f"{spec.name}: checkpoint: expected one {spec.weights.filename} below {folder}, "
            f"found {len(found)}: {listed}. Say which: CHECKPOINTS={folder},{spec.name}=PATH"
        )
    return found[0] if found else None


def load(path: Path, spec: ModelSpec) -> Checkpoint:
    """Read a checkpoint without running anything in it.

    Accepts a raw state_dict or a dict with one under `state_dict` or `model_state_dict`; keys may
    carry `module.`, `model.` and `_orig_mod.`; half-precision tensors become FP32.

    Raises:
        CheckpointError: not a checkpoint, Python objects other than tensors, or not finite.
    """
    if not _is_pickled(path):
        raise CheckpointError(f"{spec.name}: {path}: not a PyTorch checkpoint. Copy the file again.")
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as exc:
        raise CheckpointError(
            f"{spec.name}: {path}: holds more than tensors, and loading that could run code from the "
            "file. In the source project save net.state_dict() instead."
        ) from exc
    except (RuntimeError, OSError, EOFError, ValueError, KeyError) as exc:
        raise CheckpointError(
            f"{spec.name}: {path}: not a PyTorch checkpoint, or cut short ({type(exc).__name__}). Copy the file again."
        ) from exc
    state = _state_dict(content, path, spec)
    broken = [key for key, value in state.items() if not torch.isfinite(value).all()]
    if broken:
        raise CheckpointError(f"{spec.name}: {path}: not finite: {_listed(broken)}")
    return Checkpoint(path, sha256_of(path), state, _class_names(content))


def fill(net: nn.Module, checkpoint: Checkpoint, spec: ModelSpec) -> None:
    """Put the checkpoint's weights into the network, all of them.

    A classifier's head takes the shape that the checkpoint's keys tell (`heads.head_from_state`).

    Raises:
        CheckpointError: class names in another order, or keys missing, unexpected or wrongly shaped.
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
            net.set_submodule(spec.head, head_from_state(state, spec.head))
        except ValueError as exc:
            raise CheckpointError(f"{spec.name}: {checkpoint.path}: {exc}") from exc
    complaints = _mismatches(net.state_dict(), state)
    if complaints:
        raise CheckpointError(f"{spec.name}: {checkpoint.path} does not fit the network:\n  " + "\n  ".join(complaints))
    net.load_state_dict(state, strict=False)  # the batch counters alone may be missing


def _is_pickled(path: Path) -> bool:
    """Whether the file can be torch.save's: a zip, or a pickle of the older format."""
    with path.open("rb") as file:
        return zipfile.is_zipfile(path) or file.read(1) == pickle.PROTO


def _class_names(content: dict[str, Any]) -> tuple[str, ...] | None:
    """The classes in the order of the outputs, if the file recorded it in either of the usual ways."""
    if names := content.get("class_names"):
        return tuple(map(str, names))
    index = content.get("class_to_idx")
    return tuple(sorted(map(str, index), key=lambda name: index[name])) if isinstance(index, dict) else None


def _state_dict(content: Any, path: Path, spec: ModelSpec) -> dict[str, Tensor]:
    if isinstance(content, dict):
        for key in STATE_KEYS:
            if isinstance(content.get(key), dict):
                content = content[key]
                break
    if not isinstance(content, dict) or not any(isinstance(v, Tensor) for v in content.values()):
        held = f"keys {_listed(map(str, content))}" if isinstance(content, dict) else type(content).__name__
        raise CheckpointError(
            f"{spec.name}: {path}: expected a state_dict, or a dict with one under "
            f"{' or '.join(STATE_KEYS)}; got {held}"
        )
    state: dict[str, Tensor] = {}
    for key, value in content.items():
        if isinstance(value, Tensor):
            name = WRAPPERS.sub("", str(key))
            if name in state:
                raise CheckpointError(f"{spec.name}: {path}: expected each weight once, got {name} under two prefixes")
            state[name] = value.float() if value.is_floating_point() else value
    return state


def _renamed(key: str, spec: ModelSpec) -> str:
    for pattern, replacement in spec.weights.renames:
        key = re.sub(pattern, replacement, key)
    return key


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


def _listed(keys: Iterable[str], most: int = 8) -> str:
    names = list(keys)
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")
