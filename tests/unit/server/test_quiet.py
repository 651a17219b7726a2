"""When a server may be told to end."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import repeat

import pytest

from server import quiet
from tests.support.clock import Clock

IDLE = """\
# TYPE nv_inference_request_success counter
nv_inference_request_success{model="a",version="1"} %d
# TYPE medserve_worker_busy gauge
medserve_worker_busy{model="a",worker="0"} %d
"""
LATEST_S = 30.0


def _waited(said: Iterator[str], earliest_s: float = 0.0) -> tuple[bool, float]:
    """Whether nothing was under way at the end, and how long that took."""
    clock = Clock()
    began, metrics = clock(), lambda: next(said)
    found = quiet.wait_until_quiet(
        metrics, earliest=began + earliest_s, latest=began + LATEST_S, clock=clock, sleep=clock.advance
    )
    return found, clock() - began


def test_an_idle_server_is_left_after_a_moment() -> None:
    found, took = _waited(repeat(IDLE % (5, 0)))
    assert found
    assert quiet.QUIET_S <= took <= quiet.QUIET_S + 2 * quiet.POLL_S


def test_it_is_not_left_early() -> None:
    found, took = _waited(repeat(IDLE % (5, 0)), earliest_s=10)
    assert found
    assert 10 <= took <= 10 + quiet.POLL_S


def test_a_worker_at_work_is_waited_for() -> None:
    found, took = _waited(repeat(IDLE % (5, 1)))
    assert not found
    assert LATEST_S <= took <= LATEST_S + quiet.POLL_S


@pytest.mark.parametrize("text", [lambda number: IDLE % (number, 0), lambda number: IDLE % (5, number)])
def test_the_moment_begins_when_the_last_call_ends(text: Callable[[int], str]) -> None:
    """A call that ended between two looks, or is seen under way, is a sign of more."""
    said = [text(number) for number in range(20, 0, -1)] + [text(0)] * 100
    found, took = _waited(iter(said))
    assert found
    assert took + quiet.POLL_S >= 20 * quiet.POLL_S + quiet.QUIET_S


def test_calls_that_end_are_a_sign_of_more() -> None:
    found, took = _waited(IDLE % (number, 0) for number in range(1000))
    assert not found
    assert took >= LATEST_S


def test_a_server_that_does_not_answer_is_not_waited_for() -> None:
    assert _waited(repeat("")) == (True, 0)
