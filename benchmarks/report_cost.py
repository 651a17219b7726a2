"""python -m benchmarks.report_cost: CPU time of the report step for each answer, behind a real Triton.

Answers come as Triton hands them over: alone, in one request of a batch, or as requests that it joins into a batch.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from functools import partial
from pathlib import Path

import numpy as np
import tritonclient.grpc as triton
from numpy.typing import NDArray

from benchmarks.live import Server, ServerEnded
from benchmarks.options import end_on_signals, positive
from report.answer import REPORT
from report.card import Card, cards_below

INPUT = "summary"
WAIT_S = 60.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.report_cost", description=__doc__)
    parser.add_argument("model", help="of which reports are written; exported")
    parser.add_argument("--repository", type=Path, default=Path("model_repository"))
    parser.add_argument("--batch", type=positive, default="16")
    parser.add_argument("--answers", type=positive, default="4000", help="of each kind")
    options = parser.parse_args(arguments)
    end_on_signals()
    cards = [card for card in cards_below(options.repository) if card.model == options.model]
    if not cards:
        print(f"report_cost: expected {options.model} in {options.repository}, found no export of it", file=sys.stderr)
        return 1
    summary = _summary(cards[0])
    try:
        with (
            tempfile.TemporaryDirectory() as folder,
            Server(options.repository, Path(folder), [options.model]) as server,
        ):
            server.wait_until_ready()
            client = triton.InferenceServerClient(server.grpc_url.removeprefix("grpc://"))
            rounds = options.answers // options.batch
            whole, single = _requests(np.repeat(summary, options.batch, 0)), _requests(summary)
            print(f"alone: {_cost(server, lambda: client.infer(REPORT, single), 1, options.answers):.0f} µs an answer")
            found = _cost(server, lambda: client.infer(REPORT, whole), options.batch, rounds)
            print(f"in one request of {options.batch}: {found:.0f} µs an answer")
            found = _cost(server, lambda: _together(client, single, options.batch), options.batch, rounds)
            print(f"in {options.batch} requests at once: {found:.0f} µs an answer")
    except ServerEnded as exc:
        print(f"report_cost: {exc}", file=sys.stderr)
        return 1
    return 0


def _summary(card: Card) -> NDArray[np.float32]:
    """FP32 [1, 2 + F] that the report step takes: the fingerprint, then plausible figures."""
    declared = card.declaration
    shares = np.full(len(declared.labels), 1 / max(1, len(declared.labels)))
    others = np.full(len(declared.summary_fields) - len(shares), 0.25)
    fingerprint = next(iter(card.artefacts.values())).fingerprint
    return np.concatenate([fingerprint, shares, others])[None].astype(np.float32)


def _requests(summaries: NDArray[np.float32]) -> list[triton.InferInput]:
    sent = triton.InferInput(INPUT, summaries.shape, "FP32")
    sent.set_data_from_numpy(summaries)
    return [sent]


def _together(client: triton.InferenceServerClient, inputs: list[triton.InferInput], count: int) -> None:
    waiting: list[Future[None]] = [Future() for _ in range(count)]
    for one in waiting:
        client.async_infer(REPORT, inputs, partial(_done, one))
    for one in waiting:
        one.result(WAIT_S)


def _done(waiting: Future[None], **answer: object) -> None:
    """Take Triton's `result` and `error`."""
    if isinstance(error := answer["error"], Exception):
        waiting.set_exception(error)
    else:
        waiting.set_result(None)


def _cost(server: Server, call: Callable[[], object], answers: int, calls: int) -> float:
    """Microseconds of CPU time of the report processes for each answer."""
    for _ in range(calls // 10):
        call()
    before = _spent(server)
    for _ in range(calls):
        call()
    return (_spent(server) - before) * 1e6 / (calls * answers)


def _spent(server: Server) -> float:
    return sum(spent for name, spent in server.cpu_s().items() if name.startswith(f"{REPORT}_"))


if __name__ == "__main__":
    sys.exit(main())
