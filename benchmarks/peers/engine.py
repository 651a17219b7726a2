"""MedServe's own preprocessing, artefact and engine, without its server."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.peers.task import PIXELS, PROBABILITIES, SPEC, Task
from export.samples import net_inputs
from server.backends.onnxruntime.engine import open_engine
from server.backends.onnxruntime.options import from_config


class Engine:
    """The engine variant's work."""

    def __init__(self, task: Task) -> None:
        options = from_config(task.config, Path(task.artefacts))
        if task.workers > 1:
            options = replace(options, threads=task.threads)
        self._engine = open_engine(options)
        self._alone = threading.Lock()  # an engine is not thread-safe; some peers call from several threads

    def prepare(self, file: bytes) -> NDArray[np.generic]:
        """UINT8 [3, side, side] of one picture."""
        pixels: NDArray[np.generic] = net_inputs(SPEC.step, [file])[PIXELS][0]
        return pixels

    def predict(self, batch: Sequence[NDArray[np.generic]]) -> list[list[float]]:
        """Probabilities of each."""
        with self._alone:
            (probabilities,) = self._engine.run({PIXELS: np.stack(batch)}, [PROBABILITIES])
        return probabilities.tolist()
