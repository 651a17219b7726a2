"""MedServe and its peers as a Markdown table; and what was to hold, and did not."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from typing import Annotated

import msgspec

from benchmarks.figures import SOME
from benchmarks.peers.loop import Loop
from benchmarks.setting import Setting


class Service(msgspec.Struct, frozen=True, kw_only=True):
    """One service in one turn.

    Args:
        name: of the peer; "medserve", and its protocol.
        variant: of the peer; "" of ours.
        version: for people.
        lines: that somebody who serves this way writes; 0 of ours: none.
        one: a caller alone.
        hundred: a hundred.
        cpu_ms: of all its processes, for each of the hundred's calls.
        memory_mb: of all its processes after them, shared pages counted once.
    """

    name: str
    variant: str
    version: str
    lines: int
    one: Loop
    hundred: Loop
    cpu_ms: float
    memory_mb: float


class Turn(msgspec.Struct, frozen=True):
    """A service, and MedServe right before it."""

    ours: Service
    other: Service


class Peers(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="peers"):
    """`make peers`."""

    setting: Setting
    turns: Annotated[list[Turn], SOME]


def table(turns: Sequence[Turn]) -> str:
    """Medians of each service's turns, Markdown."""
    rows = [
        "| service | variant | answers/s | ours ÷ it | p95 ms at 100 | p50 ms at 1 | CPU ms a call | MB | lines |",
        "|---|---|--:|--:|--:|--:|--:|--:|--:|",
    ]
    rows.append(_row([turn.ours for turn in turns], 1.0))
    rows += [_row([turn.other for turn in those], _times(those)) for those in _by_service(turns)]
    return "\n".join(rows)


def missed(turns: Sequence[Turn]) -> list[str]:
    """What was to hold, and did not; and every answer that was none."""
    found = [
        f"{service.name} {service.variant}: {count} × {sentence}"
        for turn in turns
        for service in (turn.ours, turn.other)
        for loop in (service.one, service.hundred)
        for sentence, count in (loop.failed or ({} if loop.answered.count else {"no answer": 1})).items()
    ]
    times = {(those[0].other.name, those[0].other.variant): _times(those) for those in _by_service(turns)}
    p50 = {
        (those[0].other.name, those[0].other.variant): statistics.median(
            turn.ours.one.answered.p50 - turn.other.one.answered.p50 for turn in those
        )
        for those in _by_service(turns)
    }
    for (name, variant), ratio in times.items():
        wanted = {"documented": 10.0 if name == "fastapi" else 2.0, "engine": 1.3}.get(variant, 0.0)
        if not ratio >= wanted:
            found.append(f"{name}, {variant}: expected {wanted} times its answers a second, got {ratio:.2f}")
        late, most = p50[name, variant], {"documented": 0.0, "engine": 1.0}.get(variant, float("inf"))
        if not late <= most:
            found.append(f"{name}, {variant}: expected p50 at most {most:g} ms above its, got {late:.1f} ms")
    return found


def _by_service(turns: Sequence[Turn]) -> list[list[Turn]]:
    names = dict.fromkeys((turn.other.name, turn.other.variant) for turn in turns)
    return [[turn for turn in turns if (turn.other.name, turn.other.variant) == name] for name in names]


def _times(turns: Sequence[Turn]) -> float:
    """How many times as many answers a second ours gave, right before."""
    return statistics.median(
        turn.ours.hundred.per_second / (turn.other.hundred.per_second or float("nan")) for turn in turns
    )


def _row(services: Sequence[Service], times: float) -> str:
    def median(figure: Callable[[Service], float]) -> float:
        return statistics.median(figure(service) for service in services)

    first, hundred = services[0], median(lambda service: service.hundred.per_second)
    figures = (
        f"{hundred:.1f}",
        f"{times:.2f}",
        f"{median(lambda service: service.hundred.answered.p95):.0f}",
        f"{median(lambda service: service.one.answered.p50):.1f}",
        f"{median(lambda service: service.cpu_ms):.1f}",
        f"{median(lambda service: service.memory_mb):.0f}",
        f"{first.lines or '-'}",
    )
    return f"| {first.name} {first.version} | {first.variant or 'as it is'} | {' | '.join(figures)} |"
