"""The fastest of what passed its gate, measured on this machine: the profile "cpu"."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from export import lanes
from export.artefact import ARTEFACT, folder_of
from export.engines import EngineFailed, Kind, load
from export.repository import write_choice
from export.samples import generated
from export.spec import ModelSpec
from report.card import FILENAME, Card, Choice
from server.backends.onnxruntime.lanes import Engine
from server.machine import cpu_features

BATCHES = (1, 8)
ROUNDS = 5
WORTH = 1.05  # how much faster another must be to take FP32's place: less is noise
EXACT: tuple[str, Kind] = (ARTEFACT, "onnxruntime")


def tune(
    spec: ModelSpec, repository: Path, rounds: int = ROUNDS, clock: Callable[[], float] = time.perf_counter
) -> Choice:
    """Choose, and write the choice into the card and into the profile "cpu".

    Args:
        spec: the model's declaration.
        repository: with its artefacts.
        rounds: of each batch size.
        clock: in seconds.

    Raises:
        report.card.CardError: it was not exported.
    """
    folder = folder_of(spec, repository)
    card = Card.read(folder / FILENAME)
    choice = fastest(spec, folder, card, rounds, clock)
    piece, speeds = lanes.fastest(spec, folder / choice.artefact, _kind(choice.engine), rounds, clock)
    choice = replace(choice, lane_batch=piece, lane_speeds=speeds)
    replace(card, choice=choice).write(folder)
    write_choice(spec, repository, choice)
    return choice


def fastest(
    spec: ModelSpec, folder: Path, card: Card, rounds: int, clock: Callable[[], float] = time.perf_counter
) -> Choice:
    """Time every candidate against FP32 on onnxruntime, by turns, and name the fastest."""
    loaded: dict[tuple[str, Kind], tuple[Engine, str]] = {}
    for (name, engine), precision in candidates(card).items():
        try:
            loaded[name, engine] = (load(folder / name, engine), precision)
        except EngineFailed:  # it ran when it was compared; what does not run now is no candidate
            continue
    if len(loaded) == 1:  # nothing to choose between
        return Choice(artefact=ARTEFACT, engine=EXACT[1], precision="fp32", cpu=cpu_features(), speeds={})
    engines = {key: engine for key, (engine, _) in loaded.items()}
    speeds = {batch: _speeds(spec, engines, batch, rounds, clock) for batch in BATCHES}
    best = max(loaded, key=lambda key: _score(key, speeds))
    return Choice(
        artefact=best[0],
        engine=best[1],
        precision=loaded[best][1],
        cpu=cpu_features(),
        speeds={
            f"{name} {engine}": {batch: round(speeds[batch][name, engine], 3) for batch in BATCHES}
            for name, engine in loaded
        },
    )


def candidates(card: Card) -> dict[tuple[str, Kind], str]:
    """(artefact, engine) → precision, of what may serve: FP32, and what passed here.

    A comparison made on another CPU says nothing of this one: there OpenVINO may have computed in another precision.
    FP16 is for GPUs: a CPU converts it back and forth.
    """
    found = {EXACT: "fp32"}
    for name, artefact in card.artefacts.items():
        for comparison in artefact.comparisons:
            ran_here = comparison.cpu == cpu_features() and bool(comparison.max_error)
            passed = not comparison.refused or bool(artefact.published_anyway)
            if ran_here and passed and comparison.precision != "fp16":
                found[name, _kind(comparison.engine)] = comparison.precision
    return found


def _kind(name: str) -> Kind:
    return "openvino" if name == "openvino" else "onnxruntime"


def _score(key: tuple[str, Kind], speeds: Mapping[int, Mapping[tuple[str, Kind], float]]) -> float:
    """Geometric mean over the batch sizes; none for what is slower than FP32 at any."""
    ratios = [speeds[batch][key] for batch in speeds]
    if key == EXACT:
        return WORTH
    return math.prod(ratios) ** (1 / len(ratios)) if min(ratios) >= 1 else 0.0


def _speeds(
    spec: ModelSpec, engines: Mapping[tuple[str, Kind], Engine], batch: int, rounds: int, clock: Callable[[], float]
) -> dict[tuple[str, Kind], float]:
    """How many times as fast as EXACT: the median over rounds in which each runs once."""
    size = min(batch, spec.max_batch)
    inputs = {name: array[:size] for name, array in generated(spec, size).items()}
    outputs = [*(output.name for output in spec.outputs), spec.summary.name]
    for engine in engines.values():
        engine.run(inputs, outputs)  # the first run allocates
    times = [
        {key: lanes.timed(engine, inputs, outputs, clock) for key, engine in engines.items()} for _ in range(rounds)
    ]
    return {key: statistics.median(turn[EXACT] / turn[key] for turn in times) for key in engines}
