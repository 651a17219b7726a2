"""What the gateway costs beside a direct call: the same files to the same server, by turns, in one run.

python -m benchmarks.gateway_overhead --model NAME --files FOLDER      (of models that are exported)

100 callers send multipart forms to the gateway, and then as many the same files by gRPC to the server itself. Callers,
gateway and server share the cores, and every answer is held to the one that the server gives alone. Prints throughput,
quantiles, and the share of the throughput that the gateway costs.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import psutil
from PIL import Image

from benchmarks.live import Server
from benchmarks.ports import free_ports
from medserve import AsyncClient, Client

P95_S, SHARE = 0.5, 0.25  # what was asked for: below, at most
CALLERS, TURN_S, WARM_S = 100, 20.0, 3.0
TIMEOUT_S = 60.0
START_S = 60.0
Ask = Callable[[bytes], Awaitable[object]]


@dataclass
class Turn:
    """What came of one way for TURN_S.

    Args:
        seconds: of each answer.
        wrong: answers that are not the server's own.
        failed: calls without one.
        answered: all answers, those before and after the measured seconds too.
    """

    seconds: list[float] = field(default_factory=list)
    wrong: int = 0
    failed: int = 0
    answered: int = 0

    @property
    def per_s(self) -> float:
        return len(self.seconds) / TURN_S

    def quantile_s(self, percent: int) -> float:
        """Of the answers; infinite without any."""
        return statistics.quantiles(self.seconds, n=100)[percent - 1] if len(self.seconds) > 1 else float("inf")


def main() -> int:
    """Returns 1 where a target is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True)
    parser.add_argument("--files", type=Path, required=True, help="folder of pictures, read with everything below it")
    parser.add_argument("--size", default="600x450", help="of the pictures that are taken, in pixels")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--repository", type=Path, default=Path("model_repository"))
    options = parser.parse_args()
    files = [path.read_bytes() for path in sorted(options.files.rglob("*.jpg")) if _size(path) == options.size]
    if not files:
        parser.error(f"--files: expected JPEG files of {options.size} below {options.files}, found none")
    with tempfile.TemporaryDirectory() as folder, Server(options.repository, Path(folder), [options.model]) as server:
        server.wait_until_ready()
        with _gateway(server.grpc_url, Path(folder)) as (url, process):
            turns, cpu_s = asyncio.run(_compare(options.model, files, server.grpc_url, url, options.rounds, process))
    answers = sum(turn.answered for turn in turns["gateway"])
    print(f"{cpu_s / max(answers, 1) * 1e3:.1f} ms of CPU in the gateway for each answer")
    return _told(options.model, len(files), turns)


def _size(path: Path) -> str:
    with Image.open(path) as image:
        return f"{image.width}x{image.height}"


@contextlib.contextmanager
def _gateway(server: str, folder: Path) -> Iterator[tuple[str, psutil.Process]]:
    (port,) = free_ports(1)
    own = {"GATEWAY_SERVER": server, "GATEWAY_PORT": str(port), "AUDIT_URL": f"sqlite:///{folder}/audit.sqlite3"}
    process = subprocess.Popen([sys.executable, "-m", "gateway"], env=os.environ | own)
    try:
        yield f"http://127.0.0.1:{port}", psutil.Process(process.pid)
    finally:
        process.terminate()
        process.wait(TIMEOUT_S)


async def _compare(
    model: str, files: list[bytes], server: str, url: str, rounds: int, process: psutil.Process
) -> tuple[dict[str, list[Turn]], float]:
    """(turns by way, CPU seconds that the gateway took for them)."""
    with Client(server) as client:
        (name,) = (each.name for each in client.describe(model).inputs)
        right = {content: client.predict(model, {name: content}, timeout_s=TIMEOUT_S).prediction for content in files}
    connector = aiohttp.TCPConnector(limit=CALLERS)
    async with (
        AsyncClient(server, timeout_s=TIMEOUT_S) as direct,
        aiohttp.ClientSession(connector=connector) as session,
    ):

        async def by_grpc(content: bytes) -> object:
            return (await direct.predict(model, {name: content})).prediction

        async def by_gateway(content: bytes) -> object:
            form = aiohttp.FormData()
            form.add_field("file", content, filename="x.jpg")
            async with session.post(
                f"{url}/predict/{model}", data=form, timeout=aiohttp.ClientTimeout(TIMEOUT_S)
            ) as said:
                return (await said.json())["prediction"]

        await _wait(session, url)
        before_s = _cpu_s(process)
        ways: dict[str, Ask] = {"direct": by_grpc, "gateway": by_gateway}
        turns: dict[str, list[Turn]] = {way: [] for way in ways}
        for number in range(rounds):
            for way in list(ways) if number % 2 else list(reversed(ways)):
                turns[way].append(await _turn(ways[way], files, right))
        return turns, _cpu_s(process) - before_s


def _cpu_s(process: psutil.Process) -> float:
    times = process.cpu_times()
    return times.user + times.system


async def _wait(session: aiohttp.ClientSession, url: str) -> None:
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline:
        with contextlib.suppress(aiohttp.ClientError):
            async with session.get(f"{url}/health") as said:
                if said.status == 200:
                    return
        await asyncio.sleep(0.2)
    raise TimeoutError(f"gateway: expected it to be ready within {START_S:g} s")


async def _turn(ask: Ask, files: list[bytes], right: Mapping[bytes, object]) -> Turn:
    turn = Turn()
    began = time.perf_counter()

    async def caller(place: int) -> None:
        while (started := time.perf_counter()) - began < WARM_S + TURN_S:
            content = files[place % len(files)]
            place += CALLERS
            try:
                found = await ask(content)
            except Exception:  # whatever it was: it is no answer
                turn.failed += 1
                continue
            ended = time.perf_counter() - began
            turn.answered += 1
            if WARM_S <= ended <= WARM_S + TURN_S:
                turn.seconds.append(began + ended - started)
                turn.wrong += found != right[content]

    await asyncio.gather(*(caller(place) for place in range(CALLERS)))
    return turn


def _told(model: str, files: int, turns: dict[str, list[Turn]]) -> int:
    print(f"{model}: {CALLERS} callers, {files} files, turns of {TURN_S:g} s")
    for way, found in turns.items():
        rates = ", ".join(f"{turn.per_s:.1f}" for turn in found)
        p50, p95 = (statistics.median(turn.quantile_s(percent) for turn in found) for percent in (50, 95))
        print(
            f"  {way}: {rates} answers/s, p50 {p50 * 1e3:.0f} ms, p95 {p95 * 1e3:.0f} ms, "
            f"{sum(turn.wrong for turn in found)} other answers, {sum(turn.failed for turn in found)} failed"
        )
    pairs = zip(turns["gateway"], turns["direct"], strict=True)
    cost = 1 - statistics.median(gateway.per_s / max(direct.per_s, 1e-9) for gateway, direct in pairs)
    p95 = statistics.median(turn.quantile_s(95) for turn in turns["gateway"])
    failed = sum(turn.failed for found in turns.values() for turn in found)
    print(f"  the gateway costs {cost:.1%} of the throughput (at most {SHARE:.0%}), p95 {p95 * 1e3:.0f} ms (below 500)")
    return int(cost > SHARE or p95 >= P95_S or failed > 0)


if __name__ == "__main__":
    raise SystemExit(main())
