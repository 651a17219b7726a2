"""What the client costs beside raw tritonclient: the same requests to the same server, by turns, in one run.

python -m benchmarks.client_overhead --grpc 127.0.0.1:8001 --http 127.0.0.1:8000

Prints the milliseconds that a call of `medserve.Client` takes more at the median, and how many answers a second
`medserve.AsyncClient` gives for each that tritonclient's aio client gives.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import time
from collections.abc import Awaitable, Callable
from typing import Any

import numpy as np

from export.models import all_specs
from medserve import AsyncClient, Client

SPEC = next(spec for spec in all_specs().values() if not spec.labels)  # the quickest: what is added shows most
(INPUT,) = (sent.name for sent in SPEC.step.inputs)
TEXT = "CC(=O)Oc1ccccc1C(=O)O"
OUTPUTS = (*(output.name for output in SPEC.outputs), "report")
ADDED_MS, SHARE = 0.3, 0.95  # what was aimed at: at most, at least
AT_ONCE = 16


def main() -> int:
    """Returns 1 where a target is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--grpc", default="127.0.0.1:8001")
    parser.add_argument("--http", default="127.0.0.1:8000")
    parser.add_argument("--calls", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=30, help="of the asyncio comparison")
    options = parser.parse_args()
    missed = 0
    for scheme, netloc in (("grpc", options.grpc), ("http", options.http)):
        ours, theirs = _medians(scheme, netloc, options.calls)
        missed += ours - theirs > ADDED_MS
        print(
            f"{scheme}: medserve {ours:.3f} ms, tritonclient {theirs:.3f} ms at the median of {options.calls} calls: "
            f"{ours - theirs:+.3f} ms (at most {ADDED_MS})",
            flush=True,
        )
        share = asyncio.run(_share(scheme, netloc, options.calls // 4, options.rounds))
        missed += share < SHARE
        print(
            f"{scheme}, asyncio, {AT_ONCE} at once: {share:.3f} of tritonclient's rate (at least {SHARE})", flush=True
        )
    return 1 if missed else 0


def _medians(scheme: str, netloc: str, calls: int) -> tuple[float, float]:
    """Milliseconds of (medserve, tritonclient)."""
    raw = _raw(scheme, netloc)
    with Client(f"{scheme}://{netloc}") as client:

        def ours() -> None:
            client.predict(SPEC.name, {INPUT: TEXT})

        for _ in range(20):
            ours()
            raw()
        times: list[list[float]] = [[], []]
        for turn in range(calls):
            for place in (0, 1) if turn % 2 else (1, 0):
                started = time.perf_counter()
                (ours, raw)[place]()
                times[place].append(time.perf_counter() - started)
    return statistics.median(times[0]) * 1e3, statistics.median(times[1]) * 1e3


def _raw(scheme: str, netloc: str) -> Callable[[], object]:
    """A user's own call: the tensors made anew, the report read."""
    if scheme == "grpc":
        import tritonclient.grpc as protocol
    else:
        import tritonclient.http as protocol
    connection = protocol.InferenceServerClient(netloc)
    return lambda: _read(connection.infer(SPEC.name, *_request(protocol)))


def _request(protocol: Any) -> tuple[list[Any], None, list[Any]] | tuple[Any, ...]:
    value = np.array([[TEXT.encode()]], np.object_)
    tensor = protocol.InferInput(INPUT, [1, 1], "BYTES")
    tensor.set_data_from_numpy(value)
    outputs = [protocol.InferRequestedOutput(name) for name in OUTPUTS]
    return [tensor], "", outputs


def _read(result: Any) -> object:
    arrays = {name: result.as_numpy(name)[0] for name in OUTPUTS}
    return json.loads(arrays["report"][0])


async def _share(scheme: str, netloc: str, calls: int, rounds: int) -> float:
    """Our rate over theirs: the median over rounds in which each has a turn."""
    if scheme == "grpc":
        import tritonclient.grpc.aio as protocol
    else:
        import tritonclient.http.aio as protocol
    connection = protocol.InferenceServerClient(netloc)

    async def raw() -> None:
        inputs, version, outputs = _request(protocol)
        _read(await connection.infer(SPEC.name, inputs, version, outputs))

    async with AsyncClient(f"{scheme}://{netloc}") as client:

        async def ours() -> None:
            await client.predict(SPEC.name, {INPUT: TEXT})

        await _rate(ours, 20)
        await _rate(raw, 20)
        shares = []
        for turn in range(rounds):
            first, second = (ours, raw) if turn % 2 else (raw, ours)
            rates = {first: await _rate(first, calls), second: await _rate(second, calls)}
            shares.append(rates[ours] / rates[raw])
    await connection.close()
    return statistics.median(shares)


async def _rate(ask: Callable[[], Awaitable[None]], calls: int) -> float:
    left = iter(range(calls))

    async def user() -> None:
        for _ in left:
            await ask()

    started = time.perf_counter()
    await asyncio.gather(*(user() for _ in range(AT_ONCE)))
    return calls / (time.perf_counter() - started)


if __name__ == "__main__":
    raise SystemExit(main())
