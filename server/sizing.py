"""How many of what a machine gets: derived from its cores and its memory, each number with its reason.

A committed config holds for every machine. What depends on the machine is written into the configs that a launch
serves: worker processes of the first steps, threads of the networks, the length of queues.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from tritonclient.grpc import model_config_pb2 as pb

from queueing.queue import MOST_PLACES, PLACE_BYTES, PLACES
from report.answer import REPORT
from server.backends.onnxruntime.options import THREADS
from server.machine import Machine
from server.repository import Repository

STEP_WORKERS, REPORT_WORKERS = "STEP_WORKERS", "REPORT_WORKERS"
ENGINE_THREADS, QUEUE_SIZE = "ENGINE_THREADS", "QUEUE_SIZE"
VARIABLES = (STEP_WORKERS, REPORT_WORKERS, ENGINE_THREADS, QUEUE_SIZE)
# A report takes less than a tenth of the CPU time that the host spends on a call without its network
# (docs/performance.md), so that one process is enough for the calls of this many cores.
CORES_PER_REPORT_WORKER = 8
WORKER_MB = 96  # measured: 70 to 90 of its own once it has read a few pictures
# Measured: Triton keeps 35 threads for each instance of a python model, whose process has 7 to 11 itself.
TASKS_PER_WORKER, OTHER_TASKS = 48, 512
SHARED_MB_PER_WORKER = 2  # of /dev/shm: Triton's 1 MiB default region, and room for it to grow once
QUEUED_MB = PLACE_BYTES >> 20
SHORTEST, LONGEST = 128, MOST_PLACES  # requests in one queue


class SizingError(ValueError):
    """A number of the user's that cannot be."""


@dataclass(frozen=True, slots=True)
class Number:
    """One number of a launch.

    Args:
        name: the variable that overrides it.
        value: 0 of ENGINE_THREADS: every core.
        reason: where it comes from.
    """

    name: str
    value: int
    reason: str


def numbers(machine: Machine, repository: Repository, needed: Iterable[str], given: Mapping[str, str]) -> list[Number]:
    """What this machine gets.

    Args:
        machine: to serve on.
        repository: as it will be served.
        needed: the models to load.
        given: by variable: what the user wants instead; "" is nothing.

    Raises:
        SizingError: such a value is no number above 0.
    """
    steps = [name for name in needed if _is_step(repository.configs[name])]
    room = machine.memory_mb // 4 // WORKER_MB // max(1, len(steps))
    if machine.shared_mb is not None:  # the other half is for what is sent
        room = min(room, machine.shared_mb // 2 // SHARED_MB_PER_WORKER // max(1, len(steps)))
    if machine.tasks is not None:  # the rest is for networks, reports, and what else runs there
        room = min(room, (machine.tasks - OTHER_TASKS) * 3 // 4 // TASKS_PER_WORKER // max(1, len(steps)))
    workers = max(1, min(machine.cores, room))
    reporters_room = max(1, machine.memory_mb // 16 // WORKER_MB)
    queue = max(SHORTEST, min(LONGEST, machine.memory_mb // 8 // QUEUED_MB))
    derived = [
        Number(
            STEP_WORKERS,
            workers,
            f"of each preprocessing step: one a core ({machine.cores}), at most {max(1, room)}, so that workers of "
            f"{WORKER_MB} MB for {len(steps)} steps fit into a quarter of the memory, "
            f"their regions of {SHARED_MB_PER_WORKER} MiB into half of /dev/shm, and {TASKS_PER_WORKER} tasks for each "
            "into what the container may have",
        ),
        Number(
            REPORT_WORKERS,
            min(report_workers(machine.cores), reporters_room),
            f"processes that write reports: one for each {CORES_PER_REPORT_WORKER} cores, at most {reporters_room}, so "
            "that they fit into a sixteenth of the memory",
        ),
        Number(ENGINE_THREADS, 0, f"of each network: all {machine.cores} cores, before the reading of files"),
        Number(
            QUEUE_SIZE,
            queue,
            f"requests that may wait for a step or a network: an eighth of the memory at {QUEUED_MB} MB a file, from "
            f"{SHORTEST} to {LONGEST}; further ones are refused at once",
        ),
    ]
    return [_overridden(number, given.get(number.name, "")) for number in derived]


def report_workers(cores: int) -> int:
    """Return how many processes write the reports of the calls that these cores can read."""
    return math.ceil(cores / CORES_PER_REPORT_WORKER)


def sized(repository: Repository, numbers: Iterable[Number]) -> Repository:
    """The same with these numbers in its configs."""
    values = {number.name: number.value for number in numbers}
    return replace(repository, configs={name: _config(one, values) for name, one in repository.configs.items()})


def _config(config: pb.ModelConfig, values: Mapping[str, int]) -> pb.ModelConfig:
    own = pb.ModelConfig()
    own.CopyFrom(config)
    if _is_step(config):
        own.instance_group[0].count = values[STEP_WORKERS]
    if config.name == REPORT:
        own.instance_group[0].count = values[REPORT_WORKERS]
    if config.backend == "onnxruntime" and values[ENGINE_THREADS]:
        own.parameters[THREADS].string_value = str(values[ENGINE_THREADS])
    if PLACES in config.parameters:
        own.parameters[PLACES].string_value = str(values[QUEUE_SIZE])
    return own


def _is_step(config: pb.ModelConfig) -> bool:
    """Whether it reads what callers send: the python models that requests queue for."""
    return config.backend == "python" and PLACES in config.parameters


def _overridden(number: Number, text: str) -> Number:
    if not text:
        return number
    if not text.isascii() or not text.isdigit() or not int(text):
        raise SizingError(f"{number.name}: expected a whole number above 0, got {text!r}")
    return Number(number.name, int(text), f"as {number.name} says")
