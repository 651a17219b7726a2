"""A worker when things go wrong around it: memory that is full, callers that go, files that stay."""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Callable

import pytest

from tests.support import triton_stub as triton
from tests.support.clock import HANG_S, Clock, until

triton.install()

from queueing import metrics  # noqa: E402  imports Triton's module
from queueing.worker import Worker  # noqa: E402


class Blob:
    """A file, as large as `read` says it is."""

    def __init__(self, size_bytes: int = 1) -> None:
        self.size_bytes = size_bytes


def _worker(name: str, work: Callable[[], object] = lambda: None, places: int = 8, **options: object) -> Worker:
    def answer(requests):
        work()
        return [triton.InferenceResponse() for _ in requests]

    def read(request):
        return request.content, 1, request.content.size_bytes

    return Worker(triton.arguments(name, places), read, answer, most=1, **options)


def _told(name: str, metric: str) -> float:
    return sum(
        found.value for (family, labels), found in triton.MetricFamily.all.items()
        if family == metric and ("model", name) in labels
    )  # fmt: skip


def test_one_lost_answer_harms_no_other_and_is_counted() -> None:
    worker = _worker("lost")
    first, second = triton.Request(Blob(), full=lambda: True), triton.Request(Blob())
    worker.execute([first, second])
    worker.finalize()
    assert not first.sender.got
    assert len(second.sender.got) == 1
    assert _told("lost", metrics.FAILED) == 1
    assert any("an answer was lost" in sentence for sentence in triton.Logger.said)


def test_files_that_wait_are_bounded_by_their_bytes_too() -> None:
    """32 MiB each: eight places are 16 MiB, so one waits, and more wait where they are small."""
    go = threading.Event()
    worker = _worker("large", lambda: go.wait(HANG_S), places=8)
    busy = triton.Request(Blob())
    worker.execute([busy])
    until(lambda: not len(worker._queue), "the worker to take it")
    films = [triton.Request(Blob(32 << 20)) for _ in range(4)]
    worker.execute(films)
    assert [len(film.sender.got) for film in films] == [0, 1, 1, 1]
    assert all("Exceeds maximum queue size" in film.sender.got[0].error.sentence for film in films[1:])
    go.set()
    until(lambda: films[0].sender.got, "the first response")
    go.clear()
    again = [triton.Request(Blob(1 << 20)) for _ in range(5)]
    worker.execute(again)
    go.set()
    worker.finalize()
    assert all(one.sender.got[0].error is None for one in (films[0], busy, *again))


def test_nobodys_file_is_kept_while_nobody_is_there() -> None:
    go = threading.Event()
    worker = _worker("kept", lambda: go.wait(HANG_S), places=64)
    kept = []

    def asked(timeout_s: float) -> triton.Request:
        blob = Blob()
        kept.append(weakref.ref(blob))
        return triton.Request(blob, timeout_s)

    requests = [asked(0.0), *(asked(0.05) for _ in range(40))]
    senders = [request.sender for request in requests]
    worker.execute(requests)
    del requests
    until(lambda: all(sender.got for sender in senders[1:]), "the rejections")
    go.set()
    until(lambda: senders[0].got, "the response")
    until(lambda: not any(reference() for reference in kept), "the requests to be freed")
    worker.finalize()


def test_time_in_the_queue_and_at_work_is_counted() -> None:
    clock, go, busy = Clock(), threading.Event(), threading.Event()

    def work() -> None:
        busy.set()
        assert go.wait(HANG_S)

    worker = _worker("timed", work, clock=clock)
    worker.execute([triton.Request(Blob())])
    assert busy.wait(HANG_S)
    worker.execute([triton.Request(Blob())])
    clock.advance(3)  # the first is worked on, the second waits
    go.set()
    worker.finalize()
    assert _told("timed", metrics.WORK_S) == 3
    assert _told("timed", metrics.QUEUE_S) == 3


def test_what_could_not_be_told_is_told_later(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "EVERY_S", 0.001)
    worker = _worker("later")
    monkeypatch.setattr(triton.MetricFamily, "full", True)
    for _ in range(3):
        worker.execute([triton.Request(Blob())])
    until(lambda: any("metrics were not told" in sentence for sentence in triton.Logger.said), "the log")
    monkeypatch.setattr(triton.MetricFamily, "full", False)
    worker.execute([triton.Request(Blob())])
    worker.finalize()
    assert _told("later", metrics.REQUESTS) == 4


def test_a_sandbox_that_forbids_niceness_serves_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(_: int) -> int:
        raise PermissionError

    monkeypatch.setattr(os, "nice", forbidden)
    worker = _worker("nice")
    request = triton.Request(Blob())
    worker.execute([request])
    worker.finalize()
    assert len(request.sender.got) == 1


def test_a_refusal_that_fails_ends_the_worker_instead_of_losing_requests(monkeypatch: pytest.MonkeyPatch) -> None:
    ended: list[int] = []
    go = threading.Event()
    monkeypatch.setattr(os, "_exit", ended.append)
    worker = _worker("ends", lambda: go.wait(HANG_S))
    monkeypatch.setattr(worker.metrics, "refused", lambda why: (_ for _ in ()).throw(MemoryError))
    worker.execute([triton.Request(Blob()), triton.Request(Blob(), timeout_s=0.02)])
    until(lambda: ended, "the end")
    assert ended == [1]
    go.set()
    worker.finalize()
