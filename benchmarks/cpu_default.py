"""python -m benchmarks.cpu_default: what this CPU's choice is worth, for every exported model, in one run.

The served choice against fp32.onnx on onnxruntime, run by turns. Targets: never slower; 4 times as fast
for the ResNet50 that has INT8 (on an x86 CPU with VNNI or AMX).
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from export import tune
from export.artefact import folder_of
from export.models import all_specs
from export.spec import ModelSpec
from report.card import FILENAME, Card, CardError
from server.machine import cpu_features

SLOWEST = 1.0
RESNET50_INT8 = 4.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit status: 1 if a model misses its target."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.cpu_default", description=__doc__)
    parser.add_argument("--repository", type=Path, default=Path("model_repository"))
    parser.add_argument("--rounds", type=int, default=20)
    options = parser.parse_args(arguments)
    print(f"{', '.join(cpu_features())}; {options.rounds} rounds by turns; times fp32.onnx on onnxruntime")
    missed = 0
    for spec in all_specs().values():
        folder = folder_of(spec, options.repository)
        try:
            card = Card.read(folder / FILENAME)
        except CardError:
            print(f"{spec.name:22} not exported")
            continue
        choice = tune.fastest(spec, folder, card, options.rounds)
        speeds = choice.speeds.get(f"{choice.artefact} {choice.engine}", dict.fromkeys(tune.BATCHES, 1.0))
        target = RESNET50_INT8 if choice.precision == "int8" and _is_resnet(spec) else SLOWEST
        met = min(speeds.values()) >= SLOWEST and max(speeds.values()) >= target
        missed += not met
        figures = ", ".join(f"batch {batch} {speed:.2f}" for batch, speed in speeds.items())
        print(
            f"{spec.name:22} {choice.artefact} on {choice.engine} ({choice.precision}): {figures}; "
            f"target {target:g}: {'met' if met else 'missed'}",
            flush=True,
        )
    return 1 if missed else 0


def _is_resnet(spec: ModelSpec) -> bool:
    return type(spec.build()).__name__ == "ResNet"


if __name__ == "__main__":
    sys.exit(main())
