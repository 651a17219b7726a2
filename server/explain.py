"""What a launch would use on this machine, in words."""

from __future__ import annotations

from collections.abc import Sequence

from tritonclient.grpc import model_config_pb2 as pb

from queueing.queue import PLACES
from report.card import FILENAME, Card, CardError
from server.backends.onnxruntime.options import LANE_BATCH
from server.choices import runtime
from server.machine import Machine
from server.profiles import Profile
from server.repository import Repository
from server.sizing import Number


def explained(
    machine: Machine, profile: Profile, repository: Repository, needed: Sequence[str], numbers: Sequence[Number]
) -> str:
    """Lines for a terminal: the machine, each number and its reason, each model that is loaded."""
    lines = [f"machine: {machine}", f"profile: {profile}", ""]
    lines += [f"{number.name}={number.value or machine.cores}  {number.reason}" for number in numbers]
    lines += ["", f"{repository.workers(needed)} worker processes:"]
    lines += [f"  {name}: {_model(repository, name)}" for name in needed if not repository.configs[name].platform]
    return "\n".join(lines)


def _model(repository: Repository, name: str) -> str:
    config = repository.configs[name]
    if config.backend != "onnxruntime":
        return f"{sum(group.count for group in config.instance_group)} of {config.backend}, {_queue(config)}"
    loaded = f"{config.default_model_filename} on {runtime(config)}"
    queued = f"batches of up to {config.max_batch_size}, {_queue(config)}{_lanes(config)}"
    return f"{loaded}, {queued}; {_why(repository, name)}"


def _queue(config: pb.ModelConfig) -> str:
    delay = config.dynamic_batching.max_queue_delay_microseconds
    later = f", {delay} µs for others to come" * bool(delay)
    if PLACES not in config.parameters:
        return f"no bound to its queue{later}"
    return f"a queue of {config.parameters[PLACES].string_value}{later}"


def _lanes(config: pb.ModelConfig) -> str:
    if LANE_BATCH not in config.parameters:
        return ", all cores on one batch"
    return f", each core on pieces of {config.parameters[LANE_BATCH].string_value}"


def _why(repository: Repository, name: str) -> str:
    """Who chose the artefact, and what it won by."""
    config = repository.configs[name]
    versions = sorted((repository.folder / name).glob(f"[0-9]*/{FILENAME}"))
    try:
        choice = Card.read(versions[-1]).choice if versions else None
    except CardError as exc:
        return f"its card cannot be read: {exc}"
    if not versions:
        return "not exported yet"
    if choice is None or choice.artefact != config.default_model_filename:
        return "the same on every CPU"
    speeds = choice.speeds.get(f"{choice.artefact} {choice.engine}", {})
    times = ", ".join(f"{speed:.2f} × FP32 at batch {batch}" for batch, speed in speeds.items())
    lanes = ", ".join(f"{piece}: {speed:.2f} ×" for piece, speed in choice.lane_speeds.items() if piece)
    return f"tuned here: {times or 'the only one that passed its gate'}" + (f"; pieces of {lanes}" if lanes else "")
