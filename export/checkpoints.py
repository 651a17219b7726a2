"""A source project's checkpoint file → tensors by name, without running anything in it."""

from __future__ import annotations

import pickle
import re
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from export.digest import sha256_of_all
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

    One given by name may be a folder of safetensors files, as large models come.

    Raises:
        CheckpointError: the file given is not there, or several below `folder` bear the name.
    """
    if spec.name in explicit:
        path = explicit[spec.name]
        if not path.is_file() and not list(path.glob("*.safetensors")):
            raise CheckpointError(
                f"{spec.name}: checkpoint: expected a file, or a folder of *.safetensors, found none at {path}"
            )
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

    Accepts safetensors (a file, or a folder of them), a raw state_dict or a dict with one under
    `state_dict` or `model_state_dict`; keys may carry `module.`, `model.` and `_orig_mod.`;
    half-precision tensors become FP32. Keys that the spec ignores are not read.

    Raises:
        CheckpointError: not a checkpoint, Python objects other than tensors, or not finite.
    """
    files = sorted(path.glob("*.safetensors")) if path.is_dir() else [path]
    if files[0].suffix == ".safetensors":
        state, names = _from_safetensors(files, spec), None
    else:
        content = _unpickled(path, spec)
        state, names = _state_dict(content, path, spec), _class_names(content)
    broken = [key for key, value in state.items() if not torch.isfinite(value).all()]
    if broken:
        raise CheckpointError(f"{spec.name}: {path}: not finite: {_listed(broken)}")
    return Checkpoint(path, sha256_of_all(files), state, names)


def _from_safetensors(files: Sequence[Path], spec: ModelSpec) -> dict[str, Tensor]:
    state: dict[str, Tensor] = {}
    for file in files:
        try:
            with safe_open(file, framework="pt") as content:
                for key in content.keys():  # noqa: SIM118  not a mapping
                    if (name := _place(key, state, file, spec)) is not None:
                        state[name] = _fp32(content.get_tensor(key))
        except SafetensorError as exc:
            raise CheckpointError(
                f"{spec.name}: {file}: not a safetensors file, or cut short. Copy the file again."
            ) from exc
    return state


def _unpickled(path: Path, spec: ModelSpec) -> Any:
    if not _is_pickled(path):
        raise CheckpointError(f"{spec.name}: {path}: not a PyTorch checkpoint. Copy the file again.")
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as exc:
        raise CheckpointError(
            f"{spec.name}: {path}: holds more than tensors, and loading that could run code from the "
            "file. In the source project save net.state_dict() instead."
        ) from exc
    except (RuntimeError, OSError, EOFError, ValueError, KeyError) as exc:
        raise CheckpointError(
            f"{spec.name}: {path}: not a PyTorch checkpoint, or cut short ({type(exc).__name__}). Copy the file again."
        ) from exc


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
        if isinstance(value, Tensor) and (name := _place(str(key), state, path, spec)) is not None:
            state[name] = _fp32(value)
    return state


def _place(key: str, state: Mapping[str, Tensor], path: Path, spec: ModelSpec) -> str | None:
    """The weight's name in the network; None if it is another network's."""
    name = WRAPPERS.sub("", key)
    if spec.weights.ignored and re.match(spec.weights.ignored, name):
        return None
    if name in state:
        raise CheckpointError(f"{spec.name}: {path}: expected each weight once, got {name} under two prefixes")
    return name


def _fp32(value: Tensor) -> Tensor:
    return value.float() if value.is_floating_point() else value


def _listed(keys: Iterable[str], most: int = 8) -> str:
    names = list(keys)
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")
