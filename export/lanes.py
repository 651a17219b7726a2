"""How a batch is cut into pieces on this CPU: measured, with what serves."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from export.engines import Kind, load
from export.samples import generated
from export.spec import ModelSpec
from server.backends.onnxruntime.lanes import Engine
from server.machine import usable_cores

WHOLE = 0
PIECES = (2, 4, 16)
WORTH = 1.02  # how much faster pieces must be to be worth a second copy of the weights
FEWEST, LONGEST_S = 2, 5.0  # rounds at least; seconds after which no further one begins
SAME = 0.01  # of an output in 0..1: more is another kernel, not another order of sums


def fastest(
    spec: ModelSpec, file: Path, kind: Kind, rounds: int, clock: Callable[[], float] = time.perf_counter
) -> tuple[int, dict[int, float]]:
    """(items that a lane takes at once, or WHOLE; each number → how many times as fast as WHOLE).

    Args:
        spec: the model's declaration.
        file: the artefact that serves.
        kind: the engine that runs it.
        rounds: in which each has one turn.
        clock: in seconds.
    """
    if usable_cores() == 1 or spec.on_request:  # nothing to share out; weights too large to be there twice
        return WHOLE, {}
    size = max(1, spec.max_batch // 2)  # as long a queue as is usual under load
    inputs = {name: array[:size] for name, array in generated(spec, size).items()}
    outputs = [output.name for output in spec.outputs]
    engines = {piece: load(file, kind, lane_batch=piece) for piece in (WHOLE, *(p for p in PIECES if p < size))}
    expected = engines[WHOLE].run(inputs, outputs)
    alike = {piece: engine for piece, engine in engines.items() if _same(expected, engine.run(inputs, outputs))}
    times: list[dict[int, float]] = []
    started = clock()
    while len(times) < FEWEST or (len(times) < rounds and clock() - started < LONGEST_S):
        times.append({piece: timed(engine, inputs, outputs, clock) for piece, engine in alike.items()})
    speeds = {piece: round(statistics.median(turn[WHOLE] / turn[piece] for turn in times), 3) for piece in alike}
    best = max(speeds, key=lambda piece: speeds[piece])
    return (best if speeds[best] >= WORTH else WHOLE), speeds


def _same(expected: Sequence[NDArray[np.generic]], found: Sequence[NDArray[np.generic]]) -> bool:
    pairs = zip(expected, found, strict=True)
    return all(bool(np.abs(one.astype(float) - other.astype(float)).max() <= SAME) for one, other in pairs)


def timed(
    engine: Engine, inputs: Mapping[str, NDArray[np.generic]], outputs: Sequence[str], clock: Callable[[], float]
) -> float:
    """Seconds that one run takes."""
    start = clock()
    engine.run(inputs, outputs)
    return clock() - start
