"""Two real servers behind the chart's own proxy, under load: restarted one after the other, killed, frozen."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from medserve import AsyncClient, MedServeError, Retry
from tests.support.live import Live, serving
from tests.support.proxy import Proxy, proxied

MODEL, USERS = "solubility", 50
LOAD_S = 60  # at least, of a rolling restart
DELAY_S = "3"


class Load:
    """USERS callers, each asking for the next as soon as it is answered, in a thread of its own.

    No client asks twice: what is lost here is lost, whatever clients do about it.
    """

    def __init__(self, url: str) -> None:
        self.counts: Counter[str] = Counter()
        self.slowest_s = 0.0
        self._url, self._stopped = url, threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()))

    def __enter__(self) -> Load:
        self._thread.start()
        deadline = time.monotonic() + 20
        while self.counts["answered"] < USERS:
            assert time.monotonic() < deadline, self.counts
            time.sleep(0.05)
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._thread.join(60)

    async def _run(self) -> None:
        async with AsyncClient(self._url, timeout_s=10, retry=Retry(attempts=1)) as client:
            await asyncio.gather(*(self._call(client) for _ in range(USERS)))

    async def _call(self, client: AsyncClient) -> None:
        while not self._stopped.is_set():
            began = time.monotonic()
            try:
                await client.predict(MODEL, smiles="CCO")
                self.counts["answered"] += 1
            except MedServeError as exc:
                self.counts[f"{type(exc).__name__}: {exc}"[:160]] += 1
            self.slowest_s = max(self.slowest_s, time.monotonic() - began)

    @property
    def failed(self) -> dict[str, int]:
        return {said: count for said, count in self.counts.items() if said != "answered"}


@pytest.fixture
def two(tiny_repository: Path, tmp_path: Path) -> Iterator[Callable[[int], Live]]:
    """start(n): server n on its own ports, anew where it ended."""
    with ExitStack() as stack:
        ports: dict[int, dict[str, str]] = {}

        def start(number: int) -> Live:
            own = {"MODELS": MODEL, "DRAIN_DELAY_S": DELAY_S} | ports.get(number, {})
            found = stack.enter_context(serving(tiny_repository, tmp_path / f"s{number}", **own))
            names = ("http", "grpc", "metrics", "health")
            ports[number] = {f"{name.upper()}_PORT": str(getattr(found, name)) for name in names}
            return found

        yield start


CLUSTER = "cluster.cpu-grpc"


def _both_in(load: Load, servers: list[Live]) -> None:
    """Both take part: otherwise nothing was failed over."""
    before = [server.counts(MODEL)[0] for server in servers]
    deadline = time.monotonic() + 10
    while not all(server.counts(MODEL)[0] > count for server, count in zip(servers, before, strict=True)):
        assert time.monotonic() < deadline
        time.sleep(0.2)
    assert not load.failed


def test_a_rolling_restart_loses_no_call(two: Callable[[int], Live], tmp_path: Path) -> None:
    servers = [two(0), two(1)]
    with proxied({"cpu": servers}, tmp_path / "proxy") as proxy, Load(proxy.url) as load:
        began = time.monotonic()
        _both_in(load, servers)
        for number in (0, 1):
            assert servers[number].stop() == 0
            servers[number] = two(number)
            time.sleep(3)
        _both_in(load, servers)
        time.sleep(max(0.0, LOAD_S - (time.monotonic() - began)))
    assert not load.failed
    assert load.counts["answered"] > 1000


def test_a_killed_server_costs_no_call(two: Callable[[int], Live], tmp_path: Path) -> None:
    """Calls under way break off, and are asked again of the other: a prediction may be."""
    servers = [two(0), two(1)]
    with proxied({"cpu": servers}, tmp_path / "proxy") as proxy, Load(proxy.url) as load:
        _both_in(load, servers)
        asked_again = proxy.told(f"{CLUSTER}.upstream_rq_retry")
        server, launcher = servers[0].triton(), servers[0].process
        server.kill()
        launcher.kill()  # second: without it a server ends in order, and refuses calls
        time.sleep(5)
        again = proxy.told(f"{CLUSTER}.upstream_rq_retry") - asked_again
    # Those under way, and those sent there until it was left alone: how many depends on how fast the machine is.
    assert 0 < again < load.counts["answered"] / 2
    assert not load.failed
    assert load.slowest_s < 5


def test_a_frozen_server_is_left_alone(two: Callable[[int], Live], tmp_path: Path) -> None:
    servers = [two(0), two(1)]
    with proxied({"cpu": servers}, tmp_path / "proxy") as proxy, Load(proxy.url) as load:
        _both_in(load, servers)
        frozen = servers[0].triton().pid
        os.kill(frozen, signal.SIGSTOP)
        try:
            _until_healthy(proxy, 1)
            before = load.counts["answered"]
            time.sleep(2)
            assert load.counts["answered"] > before + 100
        finally:
            os.kill(frozen, signal.SIGCONT)
        _until_healthy(proxy, 2)
        _both_in(load, servers)
    assert not load.failed


def _until_healthy(proxy: Proxy, count: int) -> None:
    """Servers that the proxy's checks find well."""
    deadline = time.monotonic() + 10
    while proxy.told(f"{CLUSTER}.membership_healthy") != count:
        assert time.monotonic() < deadline
        time.sleep(0.1)
