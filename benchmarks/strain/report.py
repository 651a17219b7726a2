"""Overload and long runs as Markdown tables."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence

from benchmarks.strain.overload import Overload
from benchmarks.strain.soak import Soak

OVERLOAD = (
    "| callers | capacity/s | offered/s | × capacity | answered/s | of capacity | of what the callers' CPU left "
    "| p95 ms | refused/s | refused after ms: median, longest | failed | normal again after s "
    "| MB: first half, second |\n"
    "|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|"
)
SOAK = (
    "| s | capacity/s before, after | asked for | answered/s | p50 ms | p99 ms: first half, second | drift "
    "| MB: begin, end | growth | failed |\n|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|"
)


def overloads(found: Sequence[Overload]) -> str:
    """Medians of each kind's runs; failures are added up."""
    kinds = dict.fromkeys(each.one_each for each in found)
    return "\n".join([OVERLOAD, *(overload_row([one for one in found if one.one_each == kind]) for kind in kinds)])


def overload_row(found: Sequence[Overload]) -> str:
    """Runs of one kind."""

    def median(figure: Callable[[Overload], float]) -> float:
        return statistics.median(figure(each) for each in found)

    cells = (
        found[0].kind,
        f"{median(lambda each: each.capacity.per_second):.1f}",
        f"{median(lambda each: each.run.offered / each.run.seconds):.0f}",
        f"{median(lambda each: each.times):.1f}",
        f"{median(lambda each: each.run.per_second):.1f}",
        f"{median(lambda each: each.goodput):.2f}",
        f"{median(lambda each: each.goodput_of_rest):.2f}",
        f"{median(lambda each: each.run.answered.p95):.0f}",
        f"{median(lambda each: each.run.refused.count / each.run.seconds):.0f}",
        f"{median(lambda each: each.run.refused.p50):.0f}, {max(each.run.refused.longest for each in found):.0f}",
        f"{sum(sum(each.run.failed.values()) for each in found)}",
        f"{median(lambda each: each.recovery_s):.1f}",
        f"{median(lambda each: each.memory_mb[0]):.0f}, {median(lambda each: each.memory_mb[1]):.0f}",
    )
    return f"| {' | '.join(cells)} |"


def soaks(found: Sequence[Soak]) -> str:
    """A row for each."""
    return "\n".join([SOAK, *map(soak_row, found)])


def soak_row(found: Soak) -> str:
    """One long run."""
    (before, after), (first, second) = found.capacity, found.run.halves
    cells = (
        f"{found.run.seconds:.0f}",
        f"{before.per_second:.1f}, {after.per_second:.1f}",
        f"{found.percent}%",
        f"{found.run.per_second:.1f}",
        f"{found.run.answered.p50:.0f}",
        f"{first.p99:.0f}, {second.p99:.0f}",
        f"{found.drift:+.1%}",
        f"{found.memory_mb[0]:.0f}, {found.memory_mb[1]:.0f}",
        f"{found.growth:+.1%}",
        f"{sum(found.run.failed.values())}",
    )
    return f"| {' | '.join(cells)} |"
