"""Whether the cores could keep a promise at all: what it asks of them beside what they can do."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence

from benchmarks.limit.report import Turn
from benchmarks.load.slo import Slo
from benchmarks.load.verdict import Judged

_HEADER = """\
Callers who ask again as soon as they are answered get users ÷ mean latency answers a second: that nearly all latencies
lie below a limit takes nearly users ÷ limit. Beside it what the same cores did with nothing but reading and the engine
on them (`make bench`): where that is clearly less, no server on them can keep the promise.

| | users | p95 ms promised | answers/s that takes | the cores' limit | answered/s |
|---|--:|--:|--:|--:|--:|"""


def table(promises: Sequence[Judged], turns: Mapping[str, Sequence[Turn]]) -> str:
    """A row for each promise of a latency to a steady number of callers, Markdown; "": there is none.

    Args:
        promises: with their figures.
        turns: of `make bench`, by model, of the same machine and code.
    """
    rows = [_row(each, limit) for each in promises if (limit := _limit(each.slo, turns))]
    return "\n".join([_HEADER, *rows]) if rows else ""


def _limit(slo: Slo, turns: Mapping[str, Sequence[Turn]]) -> float | None:
    """Answers a second; None: it is not known, or nothing follows from it."""
    other_files, other_load = slo.size or slo.as_they_are, slo.per_second or slo.phases or slo.batch > 1
    if slo.p95_ms is None or other_files or other_load or not set(slo.models) <= set(turns):
        return None
    return sum(slo.models.values()) / sum(share * _cost_s(slo.send, turns[name]) for name, share in slo.models.items())


def _cost_s(send: str, turns: Sequence[Turn]) -> float:
    rates = [turn.cost.tensors_per_second if send == "tensors" else turn.cost.files_per_second for turn in turns]
    return 1 / statistics.median(rates)


def _row(each: Judged, limit: float) -> str:
    promised = each.slo.p95_ms or 0
    cells = (
        each.slo.name,
        f"{each.slo.users}",
        f"{promised:g}",
        f"{each.slo.users / promised * 1e3:.0f}",
        f"{limit:.1f}",
        f"{each.per_second:.1f}",
    )
    return f"| {' | '.join(cells)} |"
