"""MedServe beside its peers, by turns: the same weights, the same pictures, the same cores, one service at a time."""

from __future__ import annotations

import asyncio
import contextlib
import statistics
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
import psutil

from benchmarks.load.target import Target, own_target
from benchmarks.peers.loop import Ask, Loop, asking_medserve, asking_peer, closed_loop
from benchmarks.peers.peer import Peer
from benchmarks.peers.running import running
from benchmarks.peers.task import SPEC, Variant

TOLERANCES: Mapping[Variant, float] = {"documented": 1e-3, "engine": 0.05}
# (callers, seconds that are not measured, seconds that are)
ONE, HUNDRED = (1, 1.0, 4.0), (100, 4.0, 10.0)
OURS = "medserve"


class Service(msgspec.Struct, frozen=True, kw_only=True):
    """One service in one turn.

    Args:
        name: of the peer; `OURS`, and its protocol.
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


@dataclass(frozen=True, slots=True)
class Comparison:
    """What all of them are given.

    Args:
        repository: with the exported model.
        checkpoint: the same model's weights.
        expected: what is right, by picture.
    """

    repository: Path
    checkpoint: Path
    expected: Mapping[bytes, Sequence[float]]

    def turns(self, peers: Sequence[Peer], rounds: int, said: Callable[[Turn], None]) -> list[Turn]:
        """All rounds.

        Args:
            peers: to compare with; ours over HTTP is one more.
            rounds: in which each has a turn.
            said: gets each turn as it ends.

        Raises:
            NotInstalled, PeerError, ServerEnded: a service that does not serve.
        """
        found = []
        with own_target(self.repository, [SPEC.name]) as target:
            for _ in range(rounds):
                for other in (self._ours_over_http(target), *self._theirs(peers)):
                    ours = self._ours(target, "grpc")
                    found.append(Turn(ours, other()))
                    said(found[-1])
        return found

    def _ours_over_http(self, target: Target) -> Callable[[], Service]:
        return lambda: self._ours(target, "http")

    def _theirs(self, peers: Iterable[Peer]) -> Iterator[Callable[[], Service]]:
        for peer in peers:
            for variant in peer.variants:
                yield lambda peer=peer, variant=variant: self._their(peer, variant)  # type: ignore[misc]

    def _ours(self, target: Target, protocol: str) -> Service:
        def cpu_s() -> float:
            return sum(target.watch.cpu_s().values())

        one, hundred, spent = asyncio.run(
            self._loaded(asking_medserve(target.urls[protocol]), TOLERANCES["engine"], cpu_s)
        )
        return Service(
            name=f"{OURS} {protocol}", variant="", version="", lines=0,
            one=one, hundred=hundred, cpu_ms=spent, memory_mb=target.watch.memory_mb() or 0.0,
        )  # fmt: skip

    def _their(self, peer: Peer, variant: Variant) -> Service:
        with running(peer, variant, checkpoint=self.checkpoint, repository=self.repository) as service:
            processes = service.processes()
            one, hundred, spent = asyncio.run(
                self._loaded(asking_peer(service), TOLERANCES[variant], lambda: _cpu_s(processes))
            )
            memory = sum(_memory_mb(process) for process in service.processes())
        return Service(
            name=peer.name, variant=variant, version=peer.version, lines=peer.lines(),
            one=one, hundred=hundred, cpu_ms=spent, memory_mb=memory,
        )  # fmt: skip

    async def _loaded(
        self, asking: contextlib.AbstractAsyncContextManager[Ask], tolerance: float, cpu_s: Callable[[], float]
    ) -> tuple[Loop, Loop, float]:
        """(one caller, a hundred, CPU milliseconds of each of the hundred's calls)."""
        async with asking as ask:
            one = await closed_loop(ask, self.expected, tolerance, *ONE)
            before = cpu_s()
            hundred = await closed_loop(ask, self.expected, tolerance, *HUNDRED)
            spent = cpu_s() - before
        return one, hundred, spent / max(1, hundred.ended) * 1e3


def _cpu_s(processes: Iterable[psutil.Process]) -> float:
    spent = 0.0
    for process in processes:
        with contextlib.suppress(psutil.Error):
            times = process.cpu_times()
            spent += times.user + times.system
    return spent


def _memory_mb(process: psutil.Process) -> float:
    with contextlib.suppress(psutil.Error):
        return float(process.memory_full_info().pss) / 1e6
    return 0.0


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
        if ratio < wanted:
            found.append(f"{name}, {variant}: expected {wanted} times its answers a second, got {ratio:.2f}")
        late, most = p50[name, variant], {"documented": 0.0, "engine": 1.0}.get(variant, float("inf"))
        if late > most:
            found.append(f"{name}, {variant}: expected p50 at most {most:g} ms above its, got {late:.1f} ms")
    return found


def _by_service(turns: Sequence[Turn]) -> list[list[Turn]]:
    names = dict.fromkeys((turn.other.name, turn.other.variant) for turn in turns)
    return [[turn for turn in turns if (turn.other.name, turn.other.variant) == name] for name in names]


def _times(turns: Sequence[Turn]) -> float:
    """How many times as many answers a second ours gave, right before."""
    return statistics.median(turn.ours.hundred.per_second / max(turn.other.hundred.per_second, 1e-9) for turn in turns)


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
