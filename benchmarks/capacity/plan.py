"""The fewest replicas that keep a promise to more load than there is; and what a GPU could do at most."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from benchmarks.capacity.measured import Call, CapacityError
from benchmarks.capacity.waiting import closed_per_second, closed_wait_s, open_wait_s
from server.sizing import report_workers

SHARE = 0.95  # the promise is a p95


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """Either.

    Args:
        users: who wait for each answer, and think for `think_s` on average before they call again.
        think_s: see users.
        per_second: calls that come at random, where there are no users.
    """

    users: int = 0
    think_s: float = 0.0
    per_second: float = 0.0

    def times(self, factor: float) -> Load:
        """More users, or more calls."""
        return replace(self, users=math.ceil(self.users * factor - 1e-9), per_second=self.per_second * factor)

    def __str__(self) -> str:
        if not self.users:
            return f"{self.per_second:g} calls a second, at random"
        thought = f"{self.think_s:g} s after each answer" if self.think_s else "as soon as they are answered"
        return f"{self.users} users who call again {thought}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Promise:
    """What is to be kept.

    Args:
        p95_s: within which 95% are answered.
        fill: share of what the replicas could do within it that is planned for.
        spare: replicas more than that.
    """

    p95_s: float
    fill: float
    spare: int


@dataclass(frozen=True, slots=True)
class Ceiling:
    """What one GPU was seen to do at most.

    Args:
        gpu: its name.
        per_second: pictures.
        source: MLPerf's round and system.
    """

    gpu: str
    per_second: float
    source: str


# MLPerf Inference, data centre, closed division, NVIDIA: ResNet-50 in INT8, offline. Pictures are decoded and in memory
# before the clock starts, and nobody waits for any of them: no server that reads files reaches these. Read in
# github.com/mlcommons/inference_results_<round>, closed/NVIDIA/results/<system>/resnet50/Offline/performance. Triton is
# no obstacle: 325,628 a second with it on eight A100 in v3.0, and 324,612 without.
CEILINGS = (
    Ceiling("L4", 13_157.8, "v3.0 L4x1_TRT"),
    Ceiling("A10", 110_197 / 8, "v1.1 A10x8_TRT, an eighth"),
    Ceiling("A100 SXM", 42_379.3, "v3.0 DGX-A100_A100-SXM-80GBx1_TRT"),
    Ceiling("H100 SXM", 88_714.3, "v4.0 DGX-H100_H100-SXM-80GBx1_TRT"),
    Ceiling("H200 SXM", 756_960 / 8, "v4.1 H200-SXM-141GBx8_TRT, an eighth"),
)


def outlook(call: Call, load: Load, replicas: int, callers_s: float = 0.0) -> tuple[float, float]:
    """Calls answered in a second, and the p95 in seconds: a single caller's, and that of waiting.

    Args:
        call: that is made. A replica serves cores ÷ CPU time of them in a second (utilisation law).
        load: of such calls.
        replicas: as they were measured.
        callers_s: CPU time that a call costs callers on the same cores.
    """
    rate = call.cores / (call.cpu_s + callers_s)
    if not load.users:
        wait_s = open_wait_s(load.per_second, replicas, rate, SHARE)
        return min(load.per_second, replicas * rate), call.alone_p95_s + wait_s
    away_s = load.think_s + max(0.0, call.alone_s - 1 / rate)  # what no other caller waits for, too
    wait_s = closed_wait_s(load.users, replicas, rate, away_s, SHARE)
    return closed_per_second(load.users, replicas, rate, away_s), call.alone_p95_s + wait_s


def replicas(call: Call, load: Load, promise: Promise) -> int:
    """The fewest that keep the promise to 1 ÷ fill times the load, without those to spare.

    Raises:
        CapacityError: a single caller's calls take longer than promised.
    """
    if call.alone_p95_s > promise.p95_s:
        raise CapacityError(
            f"--p95-ms: expected more than the {call.alone_p95_s * 1e3:.0f} ms that a single caller's calls take on "
            f"these cores, got {promise.p95_s * 1e3:g}. More replicas do not mend that: promise less, or take a GPU."
        )
    planned = load.times(1 / promise.fill)
    few, many = 0, 1
    while outlook(call, planned, many)[1] > promise.p95_s:
        few, many = many, 2 * many
    while many - few > 1:
        middle = (few + many) // 2
        few, many = (middle, many) if outlook(call, planned, middle)[1] > promise.p95_s else (few, middle)
    return many


def least_per_second(load: Load, promise: Promise) -> float:
    """Calls a second of a server that just keeps the promise (Little's law); users of a faster one ask the sooner."""
    return load.per_second or load.users / (load.think_s + promise.p95_s)


def host_bound(call: Call, cores: int) -> float:
    """Return the most calls a second that a host of these cores reads and reports next to a GPU.

    A linear estimate from the measured cores; a virtual core of a larger machine may be slower.
    """
    return min(cores / call.host_s, cores / call.read_s, report_workers(cores) / call.report_s)
