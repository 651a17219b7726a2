"""medserve bench: how long answers take, from here, now."""

from __future__ import annotations

import time
from typing import Annotated

import numpy as np
import typer

from medserve.cli.connection import TIMEOUT_S, URL, Authorities, Key, Timeout, Url, connect
from medserve.cli.inputs import items


def bench(
    model: Annotated[str, typer.Argument(help="its name on the server")],
    inputs: Annotated[list[str], typer.Argument(help="as of `predict`; asked about in turn")],
    calls: Annotated[int, typer.Option(min=1, help="in all")] = 100,
    concurrency: Annotated[int, typer.Option(min=1, help="at once: a closed loop of so many users")] = 1,
    url: Url = URL,
    timeout_s: Timeout = TIMEOUT_S,
    api_key: Key = None,
    ca: Authorities = None,
) -> int:
    """Ask again and again, and tell the latencies; exit status 1 if any call failed."""
    with connect(url, timeout_s, api_key, ca) as client:
        found = [item.inputs for item in items(client.describe(model), inputs)]
        client.predict(model, found[0])  # connects
        started = time.perf_counter()
        turns = (found[call % len(found)] for call in range(calls))
        outcomes = list(client.predict_batch(model, turns, concurrency=concurrency))
        seconds = time.perf_counter() - started
    answered = [outcome.prediction for outcome in outcomes if outcome.prediction is not None]
    errors = [outcome.error for outcome in outcomes if outcome.error is not None]
    print(f"{len(answered)} of {calls} answered in {seconds:.2f} s: {len(answered) / seconds:.1f} a second")
    if answered:
        latencies = np.array([answer.processing_time_s for answer in answered]) * 1e3
        points = np.percentile(latencies, (50, 95, 99, 100))
        print("p50 {:.1f}  p95 {:.1f}  p99 {:.1f}  max {:.1f} ms".format(*points))
    for error in errors[:3]:
        print(f"failed: {error}")
    return 1 if errors else 0
