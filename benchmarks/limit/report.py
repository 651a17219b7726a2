"""The limit and what reaches the callers, as a Markdown table; and what was missed."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import Annotated

import msgspec

from benchmarks.figures import SOME
from benchmarks.limit.inprocess import Cost
from benchmarks.load.run import Run
from benchmarks.load.watch import Served
from benchmarks.setting import Setting

TARGETS = {"tensors": 0.85, "files": 0.80}  # served ÷ limit, at AT callers
AT = 100
HEADER = (
    "| send | users | answers/s | served ÷ limit | p50 ms | p95 ms | CPU ms: server | callers | mean batch |\n"
    "|---|--:|--:|--:|--:|--:|--:|--:|--:|"
)


class Turn(msgspec.Struct, frozen=True):
    """One measurement of the server, and of the work itself right before."""

    send: str
    users: int
    cost: Cost
    run: Run
    served: Served

    @property
    def share(self) -> float:
        """Served ÷ limit."""
        limit = self.cost.tensors_per_second if self.send == "tensors" else self.cost.files_per_second
        return self.run.per_second / limit


class Limit(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="limit"):
    """`make bench`: turns by model."""

    setting: Setting
    models: Annotated[dict[str, Annotated[list[Turn], SOME]], SOME]


def table(name: str, turns: Sequence[Turn]) -> str:
    """One model, Markdown."""
    costs = [turn.cost for turn in turns]
    engine_ms = statistics.median(cost.engine_s for cost in costs) * 1e3
    read_ms = statistics.median(cost.read_s for cost in costs) * 1e3
    title = f"{name}: engine {engine_ms:.2f} ms on {costs[0].cores} cores, reading {read_ms:.2f} ms on one"
    return "\n".join([title, "", HEADER, *(_row(send, users, those) for (send, users), those in _groups(turns))])


def missed(name: str, turns: Sequence[Turn]) -> list[str]:
    """Sentences; none: everything held."""
    found = [f"{name}: {turn.send} at {turn.users}: {each}" for turn in turns for each in turn.run.complaints()]
    for (send, users), those in _groups(turns):
        if users == AT and not (share := _share(those)) >= TARGETS[send]:
            found.append(f"{name}: {send}: expected served ÷ limit of {TARGETS[send]} at {AT}, got {share:.2f}")
    return found


def _groups(turns: Sequence[Turn]) -> list[tuple[tuple[str, int], list[Turn]]]:
    kinds = dict.fromkeys((turn.send, turn.users) for turn in turns)
    return [(kind, [turn for turn in turns if (turn.send, turn.users) == kind]) for kind in kinds]


def _share(turns: Sequence[Turn]) -> float:
    return statistics.median(turn.share for turn in turns)


def _row(send: str, users: int, turns: Sequence[Turn]) -> str:
    rate = statistics.median(turn.run.per_second for turn in turns)
    p50 = statistics.median(turn.run.answered.p50 for turn in turns)
    p95 = statistics.median(turn.run.answered.p95 for turn in turns)
    calls = sum(turn.run.offered for turn in turns)
    server = sum(sum(turn.served.cpu_s.values()) for turn in turns) / calls * 1e3
    callers = sum(turn.run.client_cpu_s for turn in turns) / calls * 1e3
    nets = [step for turn in turns for step in turn.served.steps if step.name.endswith("_net")]
    batch = sum(step.items for step in nets) / max(1, sum(step.executions for step in nets))
    figures = (f"{rate:.1f}", f"{_share(turns):.2f}", f"{p50:.0f}", f"{p95:.0f}", f"{server:.2f}", f"{callers:.2f}")
    return f"| {send} | {users} | {' | '.join(figures)} | {batch:.1f} |"
