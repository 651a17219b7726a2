"""The verbs without I/O: a clock that is told the time, and answers by hand."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from medserve.calls import Ask
from medserve.core import Core, Pause, Procedure, Send, Work
from medserve.errors import (
    BrokenAnswer,
    InvalidInput,
    MedServeError,
    ServerFault,
    TimedOut,
    Unavailable,
    UnknownModel,
)  # fmt: skip
from medserve.retry import Retry
from medserve.testing import FakeModel, FakeServer

BUSY = Unavailable("busy", retryable=True)


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def driven(procedure: Procedure, answer: Callable, clock: Clock, log: list, takes_s: float = 0.1) -> object:
    """Run it; every call takes `takes_s`, a pause as long as it says."""
    try:
        step = next(procedure)
        while True:
            log.append(step)
            try:
                clock.now += step.seconds if isinstance(step, Pause) else takes_s
                found = answer(step) if isinstance(step, Send) else step.function() if isinstance(step, Work) else None
            except MedServeError as exc:
                step = procedure.throw(exc)
            else:
                step = procedure.send(found)
    except StopIteration as done:
        return done.value


@pytest.fixture
def server() -> FakeServer:
    return FakeServer({"lung": FakeModel(labels=("A", "B"), probabilities=(0.1, 0.9))})


def _core(clock: Clock, **retry) -> Core:
    return Core(2.0, Retry(jitter=lambda: 1.0, **retry), now=clock)


def test_pauses_double_up_to_the_longest(server: FakeServer) -> None:
    clock, log = Clock(), []
    server.fail(BUSY, 3)
    core = _core(clock, first_s=0.1, longest_s=0.3)
    found = driven(core.predict("lung", {"image": b"x"}, None), lambda step: server.send(step.call, 1), clock, log)
    assert [step.seconds for step in log if isinstance(step, Pause)] == [0.1, 0.2, pytest.approx(0.3)]
    assert found.processing_time_s == pytest.approx(5 * 0.1 + 0.6)


def test_each_attempt_has_what_is_left(server: FakeServer) -> None:
    clock, log = Clock(), []
    server.fail(BUSY, 2)
    driven(_core(clock).predict("lung", {"image": b"x"}, 1.5), lambda step: server.send(step.call, 1), clock, log)
    assert [step.timeout_s for step in log if isinstance(step, Send)] == pytest.approx([1.5, 1.3, 1.0, 0.9])


def test_attempts_end(server: FakeServer) -> None:
    clock, log = Clock(), []
    server.fail(BUSY, 9)
    with pytest.raises(Unavailable, match="busy"):
        driven(_core(clock, attempts=3).models(None), lambda step: server.send(step.call, 1), clock, log)
    assert len([step for step in log if isinstance(step, Send)]) == 3


def test_nobody_waits_for_an_attempt_that_would_come_too_late(server: FakeServer) -> None:
    clock, log = Clock(), []
    server.fail(BUSY, 9)
    with pytest.raises(Unavailable):
        driven(_core(clock, first_s=5, longest_s=5).models(3), lambda step: server.send(step.call, 1), clock, log)
    assert len(log) == 1
    assert clock.now < 103


def test_who_has_no_time_left_sends_nothing(server: FakeServer) -> None:
    """Triton 2.51 was ended by some thousand calls of 1 ms: server#7368."""
    clock, log = Clock(), []
    with pytest.raises(TimedOut, match=r"within 0\.005 s"):
        driven(_core(clock).predict("lung", {"image": b"x"}, 0.005), lambda step: server.send(step.call, 1), clock, log)
    assert not log


def test_the_whole_call_has_one_end(server: FakeServer) -> None:
    clock, log = Clock(), []
    server.fail(BUSY, 9)
    core = _core(clock, attempts=99, first_s=0.01)
    with pytest.raises((TimedOut, Unavailable)):
        driven(core.models(2), lambda step: server.send(step.call, 1), clock, log, takes_s=0.6)
    assert clock.now <= 102.6


@pytest.mark.parametrize(
    "error", [InvalidInput("no"), ServerFault("no"), BrokenAnswer("no"), UnknownModel("no"), Unavailable("no")]
)
def test_what_is_not_safe_is_not_asked_again(server: FakeServer, error: MedServeError) -> None:
    clock, log = Clock(), []
    server.fail(error)
    with pytest.raises(type(error)):
        driven(_core(clock).models(None), lambda step: server.send(step.call, 1), clock, log)
    assert len(log) == 1


def test_an_attempts_timeout_is_told_as_the_calls(server: FakeServer) -> None:
    clock = Clock()
    server.fail(BUSY)
    server.fail(TimedOut("within 0.3 s"))
    with pytest.raises(TimedOut, match="describe: expected an answer within 2 s"):
        driven(_core(clock).models(None), lambda step: server.send(step.call, 1), clock, [])


def test_models_are_described_once_and_again_after_a_failure(server: FakeServer) -> None:
    clock, core = Clock(), None
    core = _core(clock)

    def ask() -> None:
        driven(core.predict("lung", {"image": b"x"}, None), lambda step: server.send(step.call, 1), clock, [])

    ask()
    ask()
    assert [call.where for call in server.calls] == ["describe", "lung", "lung"]
    server.fail(ServerFault("died"))
    with pytest.raises(ServerFault):
        ask()
    ask()
    assert [call.where for call in server.calls[3:]] == ["lung", "describe", "lung"]


def test_a_model_that_is_not_there_names_those_that_are(server: FakeServer) -> None:
    with pytest.raises(UnknownModel, match="brain: expected one of lung"):
        driven(_core(Clock()).describe("brain", None), lambda step: server.send(step.call, 1), Clock(), [])


def test_health_is_an_answer_whatever_happens(server: FakeServer) -> None:
    clock = Clock()

    def health(*errors: MedServeError) -> object:
        for error in errors:
            server.fail(error)
        return driven(_core(clock, attempts=1).health(None), lambda step: server.send(step.call, 1), clock, [])

    assert (health().live, health().ready, health().models) == (True, True, {"lung": True})
    gone = health(Unavailable("nobody there"))
    assert (gone.live, gone.ready, gone.reason) == (False, False, "nobody there")
    refused = health(MedServeError("no key"))
    assert (refused.live, refused.ready) == (True, False)


def test_waiting_ends_when_all_are_ready_or_the_time_is_over(server: FakeServer) -> None:
    clock, log = Clock(), []
    server.fail(Unavailable("not yet"), 3)
    driven(_core(clock).wait_until_ready(["lung"], 5), lambda step: server.send(step.call, 1), clock, log)
    assert [type(step) for step in log] == [Send, Pause] * 3 + [Send, Send]
    with pytest.raises(TimedOut, match="ready within 1 s; brain is not ready"):
        driven(_core(clock).wait_until_ready(["brain"], 1), lambda step: server.send(step.call, 1), clock, [])


def test_an_answer_of_another_server_is_told() -> None:
    import numpy as np

    for text in (b"hello", b"[]", b'{"lung": {}}'):
        with pytest.raises(BrokenAnswer, match="describe: expected MedServe's description"):
            driven(_core(Clock()).models(None), lambda _, t=text: {"description": np.array([[t]], object)}, Clock(), [])


@pytest.mark.parametrize("timeout_s", [0, -1, float("inf"), float("nan"), 1e10])
def test_timeouts_are_finite(timeout_s: float) -> None:
    with pytest.raises(ValueError, match="timeout_s: expected a finite number above 0"):
        Core(timeout_s, Retry())
    with pytest.raises(ValueError, match="timeout_s"):
        next(Core(1.0, Retry()).models(timeout_s))


def test_questions_are_asked_once_while_waiting(server: FakeServer) -> None:
    clock, log = Clock(), []
    server.fail(BUSY)
    driven(_core(clock).wait_until_ready([], 5), lambda step: server.send(step.call, 1), clock, log)
    assert [step.call for step in log if isinstance(step, Send)] == [Ask("ready")] * 2
