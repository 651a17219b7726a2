"""When a server may be told to end."""

from __future__ import annotations

import time
from collections.abc import Iterator

from server import quiet

IDLE = """\
# TYPE nv_inference_request_success counter
nv_inference_request_success{model="a",version="1"} %d
# TYPE medserve_worker_busy gauge
medserve_worker_busy{model="a",worker="0"} %d
"""


def _waited(said: Iterator[str], earliest_s: float, latest_s: float) -> tuple[bool, float]:
    began = time.monotonic()
    found = quiet.wait_until_quiet(lambda: next(said), earliest=began + earliest_s, latest=began + latest_s)
    return found, time.monotonic() - began


def _always(text: str) -> Iterator[str]:
    while True:
        yield text


def test_an_idle_server_is_left_after_a_moment() -> None:
    found, took = _waited(_always(IDLE % (5, 0)), 0, 30)
    assert found
    assert quiet.QUIET_S <= took < quiet.QUIET_S + 1


def test_it_is_not_left_early() -> None:
    found, took = _waited(_always(IDLE % (5, 0)), 3, 30)
    assert found
    assert took >= 3


def test_a_worker_at_work_is_waited_for() -> None:
    found, took = _waited(_always(IDLE % (5, 1)), 0, 2)
    assert not found
    assert took >= 2


def test_calls_that_end_are_a_sign_of_more() -> None:
    counts = iter(IDLE % (number, 0) for number in range(100))
    found, _ = _waited(counts, 0, 2)
    assert not found


def test_a_server_that_does_not_answer_is_not_waited_for() -> None:
    found, took = _waited(_always(""), 0, 30)
    assert found
    assert took < 1
