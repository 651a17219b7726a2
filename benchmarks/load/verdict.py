"""Whether the runs of one promise kept it."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import Annotated

import msgspec

from benchmarks.figures import SOME
from benchmarks.load.run import Run
from benchmarks.load.slo import Slo
from benchmarks.load.watch import Served
from benchmarks.setting import Setting


class Judged(msgspec.Struct, frozen=True, kw_only=True):
    """All runs of one promise.

    Args:
        slo: the promise.
        runs: one after the other.
        served: what the server did in each; none of runs that were made elsewhere.
        figures: quantile → milliseconds, the runs' median.
        per_second: items answered rightly, the runs' median.
        missed: sentences; none: it was kept.
    """

    slo: Slo
    runs: list[Run]
    served: list[Served]
    figures: dict[str, float]
    per_second: float
    missed: list[str]


class Load(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="load"):
    """`make load`: a promise each."""

    setting: Setting
    results: Annotated[list[Judged], SOME]


def judged(slo: Slo, runs: Sequence[Run], served: Sequence[Served]) -> Judged:
    """The medians beside the limits.

    Raises:
        ValueError: no run at all.
    """
    if not runs:
        raise ValueError(f"{slo.name}: expected a run, got none")
    figures = {name: statistics.median(getattr(run.answered, name) for run in runs) for name in ("p50", "p95", "p99")}
    missed = [f"run {number}: {complaint}" for number, run in enumerate(runs, 1) for complaint in run.complaints()]
    missed += [
        f"{name}: expected at most {limit:g} ms, got {figures[name]:.0f} ms"
        for name, limit in slo.limits().items()
        if not figures[name] <= limit
    ]
    per_second = statistics.median(run.per_second for run in runs) * slo.batch
    if slo.items_per_second and per_second < slo.items_per_second:
        missed.append(f"items: expected at least {slo.items_per_second:g} a second, got {per_second:.0f}")
    return Judged(slo=slo, runs=list(runs), served=list(served), figures=figures, per_second=per_second, missed=missed)
