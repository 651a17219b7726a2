"""What a picture's probabilities are: the exported FP32 graph, on onnxruntime."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from benchmarks.peers.task import PROBABILITIES, SPEC
from export.artefact import folder_of
from export.samples import step_function
from server.backends.onnxruntime.engine import OnnxRuntimeEngine
from server.backends.onnxruntime.options import Options

FP32 = "fp32.onnx"


class Reference:
    """Held to PyTorch within 0.0001 when it was exported."""

    def __init__(self, repository: Path) -> None:
        self._engine = OnnxRuntimeEngine(Options(file=folder_of(SPEC, repository) / FP32))
        self._to_pixels = partial(step_function(SPEC.step), **dict(SPEC.step.arguments))

    def __call__(self, file: bytes) -> list[float]:
        (probabilities,) = self._engine.run(self._to_pixels([file]), [PROBABILITIES])
        return probabilities[0].tolist()
