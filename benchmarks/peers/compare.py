"""MedServe beside its peers, by turns: the same weights, the same pictures, the same cores, one service at a time."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import psutil

from benchmarks.load.target import Target, own_target
from benchmarks.peers.environments import NotInstalled
from benchmarks.peers.loop import Ask, Loop, asking_medserve, asking_peer, closed_loop
from benchmarks.peers.peer import Peer
from benchmarks.peers.report import Service, Turn
from benchmarks.peers.running import PeerError, running
from benchmarks.peers.task import SPEC, Variant

TOLERANCES: Mapping[Variant, float] = {"documented": 1e-3, "engine": 0.05}
# (callers, seconds that are not measured, seconds that are); the hundred first, which warm every process of a service
HUNDRED, ONE = (100, 5.0, 8.0), (1, 0.5, 3.0)
OURS = "medserve"


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

    def turns(self, peers: Sequence[Peer], rounds: int) -> Iterator[Turn | str]:
        """All rounds; a sentence in the place of the turn of a service that does not serve.

        Args:
            peers: to compare with; ours over HTTP is one more.
            rounds: in which each has a turn.

        Raises:
            ServerEnded: ours does not serve.
        """
        with own_target(self.repository, [SPEC.name]) as target:
            others = [partial(self._ours, target, "http")]
            others += [partial(self._their, peer, variant) for peer in peers for variant in peer.variants]
            for _ in range(rounds):
                for other in others:
                    ours = self._ours(target, "grpc")
                    try:
                        yield Turn(ours, other())
                    except (NotInstalled, PeerError, OSError, subprocess.CalledProcessError) as exc:
                        yield str(exc)

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
            before = cpu_s()
            hundred = await closed_loop(ask, self.expected, tolerance, *HUNDRED)
            spent = cpu_s() - before
            one = await closed_loop(ask, self.expected, tolerance, *ONE)
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
