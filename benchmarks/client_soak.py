"""Ten thousand calls through restarts of their server: nothing hangs, nobody gets another's answer, nothing grows.

python -m benchmarks.client_soak --repository model_repository

Starts a server of its own and asks it for molecules with known answers, through both clients and both protocols,
while it is ended again and again: gracefully, and with SIGKILL.
"""

from __future__ import annotations

import argparse
import asyncio
import collections
import gc
import itertools
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from benchmarks.live import Server
from export.models import all_specs
from medserve import AsyncClient, Client, Outcome

SPEC = next(spec for spec in all_specs().values() if not spec.labels)  # the quickest
MODEL = SPEC.name
(INPUT,) = (sent.name for sent in SPEC.step.inputs)
AT_ONCE = 16  # as many idle connections may a client keep, and it depends on chance how many it does
LATE_S, GROWTH_MB, ANSWERED = 0.5, 5.0, 0.75
SAME = 1e-3  # log S: batches of other sizes round otherwise
MOLECULES = [f"{'C' * length}{end}" for length in range(1, 25) for end in ("", "O", "OC", "Cl", "Br", "C(=O)O", "N")]


class Restarted(Server):
    """One that is ended again and again."""

    def __init__(self, repository: Path, folder: Path) -> None:
        super().__init__(repository, folder, [MODEL])
        self.ends: list[str] = []

    def restart(self) -> None:
        """Every other time gracefully; else Triton is killed, and the launcher starts it again."""
        if len(self.ends) % 2:
            self.ends.append("killed")
            for child in psutil.Process(self.pid).children():
                child.kill()
        else:
            self.ends.append("stopped")
            self.stop()
            self.start()


@dataclass
class Tally:
    """What became of the calls."""

    answered: int = 0
    mistaken: int = 0
    slowest_s: float = 0.0
    failed: collections.Counter[str] = field(default_factory=collections.Counter)

    def count(self, outcome: Outcome[str], known: Mapping[str, float]) -> None:
        """One more."""
        if outcome.error is not None:
            self.failed[type(outcome.error).__name__] += 1
            return
        answer = outcome.result()
        self.answered += 1
        self.mistaken += abs(float(answer.prediction) - known[outcome.item]) > SAME
        self.slowest_s = max(self.slowest_s, answer.processing_time_s)


def main() -> int:
    """Returns 1 where a target is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repository", type=Path, default=Path("model_repository"))
    parser.add_argument("--calls", type=int, default=10_000)
    parser.add_argument("--restarts", type=int, default=4)
    parser.add_argument("--timeout-s", type=float, default=10.0)
    options = parser.parse_args()
    tally = Tally()
    with tempfile.TemporaryDirectory() as folder, Restarted(options.repository, Path(folder)) as server:
        grpc, http = server.grpc_url, server.http_url
        settings = {"timeout_s": options.timeout_s}
        known = _known(grpc)
        with Client(grpc, **settings) as one, Client(http, **settings) as two:
            _soak([one, two], [grpc, http], options, known, Tally(), None)  # what libraries start once and keep
            before = _weight()
            _soak([one, two], [grpc, http], options, known, tally, server)
            one.wait_until_ready(
                MODEL, timeout_s=120
            )  # a server that drains answers on, and may end after the last call
            _soak([one, two], [grpc, http], options, known, Tally(), None)  # as before: connections that died are gone
            after = _weight()
    calls = tally.answered + tally.failed.total()
    failed = dict(tally.failed)
    print(f"{calls} calls: {tally.answered} answered, {tally.mistaken} with another's answer, failed: {failed}")
    print(f"server: {', '.join(server.ends)}; slowest answer {tally.slowest_s:.2f} s of {options.timeout_s:g} s")
    print(f"memory {before[0]:.1f} → {after[0]:.1f} MB (at most {GROWTH_MB} more)")
    print(f"open files {before[1]} → {after[1]} (at most {AT_ONCE} more)")
    fine = not tally.mistaken and tally.slowest_s < options.timeout_s + LATE_S and calls == options.calls
    fine = fine and tally.answered >= ANSWERED * calls and set(tally.failed) <= {"Unavailable", "TimedOut"}
    return 0 if fine and after[0] - before[0] <= GROWTH_MB and after[1] <= before[1] + AT_ONCE else 1


def _known(url: str) -> dict[str, float]:
    with Client(url, timeout_s=120) as client:
        client.wait_until_ready(MODEL)
        return {smiles: float(client.predict(MODEL, {INPUT: smiles}).prediction) for smiles in MOLECULES}


def _soak(
    clients: list[Client],
    urls: list[str],
    options: argparse.Namespace,
    known: Mapping[str, float],
    tally: Tally,
    server: Restarted | None,
) -> None:
    """A quarter of the calls through each of four ways; with a server, its ends spread over them."""
    quarter = options.calls // 4 if server else options.calls // 40
    every = options.calls // (options.restarts + 1)
    restarting: list[threading.Thread] = []
    total = 0

    def asked() -> Iterator[str]:
        nonlocal total
        for smiles in itertools.islice(itertools.cycle(known), quarter):
            total += 1
            if server and total % every == 0 and len(restarting) < options.restarts:
                restarting.append(threading.Thread(target=server.restart))
                restarting[-1].start()
            yield smiles

    for client in clients:
        for outcome in client.predict_batch(MODEL, asked(), concurrency=AT_ONCE):
            tally.count(outcome, known)
    for url in urls:
        asyncio.run(_loop(url, options.timeout_s, asked(), known, tally))
    for thread in restarting:
        thread.join()


async def _loop(url: str, timeout_s: float, asked: Iterator[str], known: Mapping[str, float], tally: Tally) -> None:
    async with AsyncClient(url, timeout_s=timeout_s) as client:
        async for outcome in client.predict_batch(MODEL, asked, concurrency=AT_ONCE):
            tally.count(outcome, known)


def _weight() -> tuple[float, int]:
    """(MB resident, open files) of this process."""
    gc.collect()
    time.sleep(2)
    own = psutil.Process()
    return own.memory_info().rss / 1e6, own.num_fds()


if __name__ == "__main__":
    raise SystemExit(main())
