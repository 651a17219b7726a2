"""Artefacts run on the engines that serve them: what is compared and timed is what answers callers."""

from __future__ import annotations

import importlib.util
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from export.spec import ModelSpec
from server.backends.onnxruntime.engine import OpenVinoEngine, open_engine
from server.backends.onnxruntime.lanes import Engine
from server.backends.onnxruntime.options import ConfigError, Options

BATCH = 8
Kind = Literal["onnxruntime", "openvino"]


def here() -> list[Kind]:
    """The engines of this machine; onnxruntime, which judges files, first."""
    has = platform.machine() == "x86_64" and importlib.util.find_spec("openvino") is not None
    return ["onnxruntime", "openvino"] if has else ["onnxruntime"]


class EngineFailed(RuntimeError):
    """An engine that cannot load a file, or cannot run it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """What an artefact answered.

    Args:
        engine: what ran it.
        precision: what its encoder was computed in.
        answers: the spec's outputs and `summary`, [N, ...].
    """

    engine: str
    precision: str
    answers: dict[str, NDArray[np.float32]]


def load(file: Path, kind: Kind, lane_batch: int = 0) -> Engine:
    """As the server would. Raises EngineFailed: the engine is not here, or refuses the file."""
    try:
        return open_engine(Options(file=file, openvino=kind == "openvino", lane_batch=lane_batch))
    except ConfigError as exc:
        raise EngineFailed(str(exc)) from exc


def run(spec: ModelSpec, file: Path, kind: Kind, precision: str, inputs: Mapping[str, NDArray[np.generic]]) -> Ran:
    """Every output for every item, in batches as a server would make them.

    Args:
        spec: the model's declaration.
        file: the artefact.
        kind: the engine.
        precision: the artefact's; OpenVINO runs FP32 in bf16 where the CPU has units for it.
        inputs: net inputs by name, [N, ...].

    Raises:
        EngineFailed: it cannot be loaded, or ends with an error.
    """
    engine = load(file, kind)
    answers = answered(spec, engine, inputs, f"{kind} does not run {file.name}")
    lowered = isinstance(engine, OpenVinoEngine) and engine.precision == "bf16" and precision == "fp32"
    return Ran(engine=kind, precision="bf16" if lowered else precision, answers=answers)


def answered(
    spec: ModelSpec, engine: Engine, inputs: Mapping[str, NDArray[np.generic]], failure: str
) -> dict[str, NDArray[np.float32]]:
    """The spec's outputs and `summary` by name, [N, ...], of a loaded engine.

    Raises:
        EngineFailed: it ends with an error; begins with `failure`.
    """
    names = [*(output.name for output in spec.outputs), spec.summary.name]
    count, size = len(next(iter(inputs.values()))), min(BATCH, spec.max_batch)
    try:
        batches = [
            engine.run({name: array[start : start + size] for name, array in inputs.items()}, names)
            for start in range(0, count, size)
        ]
    except Exception as exc:
        raise EngineFailed(f"{failure}: {_first_line(exc)}") from exc
    return {name: np.concatenate([batch[place] for batch in batches]) for place, name in enumerate(names)}


def _first_line(exc: Exception) -> str:
    lines = str(exc).strip().splitlines()
    return f"{type(exc).__name__}: {lines[-1] if lines else ''}"
