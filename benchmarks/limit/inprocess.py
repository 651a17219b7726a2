"""The work itself, without a server: the file that is served, on the engine that serves it, by the same functions."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec
import numpy as np
from google.protobuf import json_format
from numpy.typing import NDArray

from benchmarks.load.traffic import Item
from export.artefact import folder_of
from export.samples import net_inputs
from export.spec import ModelSpec
from report.answer import CPU_PROFILE
from server.backends.onnxruntime.engine import open_engine
from server.backends.onnxruntime.options import from_config
from server.machine import Machine, usable_cores
from server.repository import Repository
from server.sizing import numbers, sized


class Cost(msgspec.Struct, frozen=True):
    """Seconds of one item.

    Args:
        read_s: decode and resize, or featurize, on one core.
        engine_s: the network in the largest batch, on all cores.
        cores: of both.
    """

    read_s: float
    engine_s: float
    cores: int

    @property
    def tensors_per_second(self) -> float:
        """No server can do more with these cores and this engine."""
        return 1 / self.engine_s

    @property
    def files_per_second(self) -> float:
        """The same, with the files to be read."""
        return 1 / (self.engine_s + self.read_s / self.cores)


class InProcess:
    """One model.

    Args:
        spec: its declaration.
        repository: with its artefact, and its choice for this CPU.
        items: what is sent.
    """

    def __init__(self, spec: ModelSpec, repository: Path, items: Sequence[Item]) -> None:
        # As `python -m server` finds it: the same variables choose profile and threads.
        read = Repository.read(repository, os.environ.get("PROFILE", CPU_PROFILE))
        config = sized(read, numbers(Machine.this(), read, [spec.net], os.environ)).configs[spec.net]
        as_json = json_format.MessageToDict(config, preserving_proto_field_name=True)
        self._engine = open_engine(from_config(as_json, folder_of(spec, repository)))
        self._spec = spec
        self._items = [[item[sent.name] for sent in spec.step.inputs] for item in items]
        self._outputs = [output.name for output in spec.outputs]
        values = (list(column) for column in zip(*self._items[: spec.max_batch], strict=True))
        self._inputs = net_inputs(spec.step, *values)
        self._batch = len(next(iter(self._inputs.values())))

    @property
    def engine(self) -> str:
        return self._engine.name

    def cost(self, seconds: float) -> Cost:
        """Measured for so long: two parts engine, one part reading."""
        return Cost(self._read(seconds / 3), self._run(seconds * 2 / 3), usable_cores())

    def first_outputs(self) -> list[NDArray[np.generic]]:
        """The first output of each item, one item at a time."""
        every = (net_inputs(self._spec.step, *([value] for value in item)) for item in self._items)
        return [self._engine.run(inputs, self._outputs[:1])[0][0] for inputs in every]

    def _run(self, seconds: float) -> float:
        self._engine.run(self._inputs, self._outputs)
        started, runs = time.perf_counter(), 0
        while time.perf_counter() - started < seconds:
            self._engine.run(self._inputs, self._outputs)
            runs += 1
        return (time.perf_counter() - started) / (runs * self._batch)

    def _read(self, seconds: float) -> float:
        started, read = time.perf_counter(), 0
        while time.perf_counter() - started < seconds:
            for item in self._items:
                net_inputs(self._spec.step, *([value] for value in item))
            read += len(self._items)
        return (time.perf_counter() - started) / read
