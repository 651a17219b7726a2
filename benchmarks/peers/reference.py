"""What a picture's probabilities are: the exported FP32 graph, on onnxruntime."""

from __future__ import annotations

from pathlib import Path

from benchmarks.peers.task import PROBABILITIES, SPEC
from export.artefact import folder_of
from export.samples import net_inputs
from server.backends.onnxruntime.engine import OnnxRuntimeEngine
from server.backends.onnxruntime.options import Options

FP32 = "fp32.onnx"


class Reference:
    """Held to PyTorch within 0.0001 when it was exported."""

    def __init__(self, repository: Path) -> None:
        self._engine = OnnxRuntimeEngine(Options(file=folder_of(SPEC, repository) / FP32))

    def __call__(self, file: bytes) -> list[float]:
        (probabilities,) = self._engine.run(net_inputs(SPEC.step, [file]), [PROBABILITIES])
        return probabilities[0].tolist()
