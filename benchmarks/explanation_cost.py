"""python -m benchmarks.explanation_cost: what heat map, uncertainty and MC dropout cost on top of the network.

Each model's served file against the same file cut down to its probabilities, on one engine, in one
process, run by turns. Target: at most 5 % of the latency at batch 8.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx.utils import Extractor

from export.artefact import ARTEFACT, folder_of
from export.models import all_specs
from export.samples import generated
from export.spec import ModelSpec
from server.backends.onnxruntime.engine import open_engine
from server.backends.onnxruntime.options import Options

TARGET = 0.05
Inputs = dict[str, NDArray[np.generic]]


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit status: 1 if a model misses the target."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.explanation_cost", description=__doc__)
    parser.add_argument("--repository", type=Path, default=Path("model_repository"))
    parser.add_argument("--models", default="", help="names, separated by commas; default all that are exported")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=30)
    options = parser.parse_args(arguments)
    asked = set(filter(None, options.models.split(",")))
    specs = [spec for spec in all_specs().values() if spec.explained and (spec.name in asked or not asked)]
    print(f"batch {options.batch}, {options.rounds} rounds by turns; median of (whole - bare) / bare of each round")
    missed = 0
    for spec in specs:
        file = folder_of(spec, options.repository) / ARTEFACT
        if not file.is_file():
            print(f"{spec.name:22} not exported")
            continue
        for openvino in (True, False):
            engine, bare_s, cost = _measure(spec, file, options.batch, options.rounds, openvino=openvino)
            missed += cost > TARGET
            verdict = "missed" if cost > TARGET else "met"
            print(f"{spec.name:22} {engine:22} bare {bare_s * 1e3:7.1f} ms   cost {cost:+7.2%}   {verdict}", flush=True)
    return 1 if missed else 0


def _measure(spec: ModelSpec, file: Path, batch: int, rounds: int, *, openvino: bool) -> tuple[str, float, float]:
    """(engine, seconds of the bare network, median extra cost as a share of it)."""
    inputs = {name: array[:batch] for name, array in generated(spec, batch).items()}
    with tempfile.TemporaryDirectory() as folder:
        bare = Path(folder, ARTEFACT)
        model = onnx.load(file)
        names = [tensor.name for tensor in model.graph.input]
        onnx.save(Extractor(model).extract_model(names, ["probabilities"]), bare)
        engines = [open_engine(Options(file=path, openvino=openvino)) for path in (bare, file)]
    outputs = [["probabilities"], [output.name for output in (*spec.outputs, spec.summary)]]
    runs = [
        lambda engine=engine, wanted=wanted: engine.run(inputs, wanted)
        for engine, wanted in zip(engines, outputs, strict=True)
    ]
    for run in runs * 3:
        run()
    pairs = [(_timed(runs[0]), _timed(runs[1])) for _ in range(rounds)]
    return (
        engines[0].name,
        statistics.median(bare for bare, _ in pairs),
        statistics.median((whole - bare) / bare for bare, whole in pairs),
    )


def _timed(run: Callable[[], object]) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


if __name__ == "__main__":
    sys.exit(main())
