"""The launcher's loop around a Triton that is made up: start, restart, give up, drain."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest

from server import leftovers, supervisor
from server.health import Health, State
from server.installation import Installation
from server.preflight import PreflightError
from server.repository import Repository
from server.supervisor import DEATH_WINDOW_S, MAX_DEATHS, SHORT_DRAIN_S, Plan, Stop, serve
from server.triton import DRAIN_TIMEOUT_S, Address, TritonError
from tests.support.clock import Clock

TAG = "medserve-1-1"
GAUGE = "# TYPE medserve_worker_busy gauge\nmedserve_worker_busy %d\n"
BUSY, IDLE = GAUGE % 1, GAUGE % 0
DEATH = "tritonserver ended by itself (signal 9)"
Event = str | BaseException


class Launch:
    """One launcher, and all that it did, in order.

    Args:
        troubles: what each `wait_for_trouble` of its Tritons returns or raises, and the seconds before.
        metrics: what each look at a draining Triton returns or raises; after them: idle.
    """

    def __init__(
        self, folder: Path, troubles: Iterable[tuple[float, Event]], metrics: Iterable[Event] = (), delay_s: float = 0.0
    ) -> None:
        self.clock, self.log = Clock(), list[str]()
        self.health = Health("127.0.0.1", 1, ["a"], "cpu", 1000)
        self.states = [self.health.state]
        self.failing: dict[tuple[str, int], BaseException] = {}  # (step, which time) → what it raises
        self._troubles, self._metrics = iter(troubles), iter(metrics)
        self.plan = Plan(
            triton=Installation(folder, folder, folder, None, gpus=False),
            repository=Repository(folder, {}, "cpu"),
            needed=["a"],
            address=Address("127.0.0.1", 1, 2, 3),
            runtime=folder,
            tag=TAG,
            verify=lambda: self._did("verify"),
            verbose=False,
            drain_delay_s=delay_s,
        )

    def serve(self) -> None:
        serve(
            self.plan,
            self.health,
            lambda: self._did("ready"),
            start=lambda _: self._did("start") or self,  # type: ignore[arg-type,return-value]
            clock=self.clock,
            sleep=self.clock.advance,
        )

    def _did(self, step: str) -> None:
        self.log.append(step)
        if error := self.failing.get((step, self.log.count(step))):
            raise error

    def wait_for_trouble(self) -> str:
        seconds, trouble = next(self._troubles)
        self.states.append(self.health.state)
        self.clock.advance(seconds)
        return _happens(trouble)

    def metrics(self) -> str:
        self.states.append(self.health.state)
        return _happens(next(self._metrics, IDLE))

    def drain(self, timeout_s: float) -> None:
        self.states.append(self.health.state)
        self.log.append(f"drain {timeout_s:g}")

    def kill(self) -> None:
        self.log.append("kill")


def _happens(event: Event) -> str:
    if isinstance(event, BaseException):
        raise event
    return event


@pytest.fixture(autouse=True)
def no_shared_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leftovers, "SHM", tmp_path / "shm")
    monkeypatch.setattr(leftovers, "_workers", list)


STARTED = ["verify", "start", "ready"]
AGAIN = ["drain 5", "verify", "start"]


def test_a_launcher_that_is_stopped_drains_and_ends(tmp_path: Path) -> None:
    launch = Launch(tmp_path, [(9, Stop())], [BUSY, BUSY, IDLE])
    launch.serve()
    assert launch.log[:3] == STARTED
    assert launch.log[3].startswith("drain ")
    assert launch.log[4:] == ["kill"]
    assert launch.states[:2] == [State.STARTING, State.SERVING]
    assert set(launch.states[2:]) == {State.DRAINING}


def test_a_triton_that_died_is_replaced_after_the_files_are_verified_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / TAG).mkdir()
    launch = Launch(tmp_path, [(9, DEATH), (9, Stop())])
    launch.serve()
    assert launch.log[:6] == [*STARTED, *AGAIN]
    assert launch.health.restarts == 1
    assert not (tmp_path / TAG).exists()
    assert State.RESTARTING in launch.states
    said = [line for line in capsys.readouterr().err.splitlines() if not line.startswith("serve: draining")]
    assert said[:3] == [f"serve: {DEATH}", "serve: starting again", "serve: every model is READY again"]


def test_a_triton_that_keeps_dying_is_given_up(tmp_path: Path) -> None:
    launch = Launch(tmp_path, [(1, DEATH)] * MAX_DEATHS)
    with pytest.raises(TritonError, match="died 3 times within 120 s"):
        launch.serve()
    assert launch.log == [*STARTED, *AGAIN, *AGAIN, "kill"]
    assert launch.health.state is State.RESTARTING


def test_deaths_that_lie_far_apart_are_not_added_up(tmp_path: Path) -> None:
    launch = Launch(tmp_path, [(DEATH_WINDOW_S / (MAX_DEATHS - 1), DEATH)] * 20 + [(1, Stop())])
    launch.serve()
    assert launch.health.restarts == 20


def test_files_that_changed_meanwhile_are_not_served(tmp_path: Path) -> None:
    launch = Launch(tmp_path, [(9, DEATH)])
    launch.failing["verify", 2] = PreflightError("not the artefact that was verified")
    with pytest.raises(PreflightError, match="not the artefact"):
        launch.serve()
    assert launch.log == [*STARTED, "drain 5", "verify", "kill"]


@pytest.mark.parametrize("step", ["verify", "start"])
def test_a_first_start_that_fails_is_the_end(tmp_path: Path, step: str) -> None:
    launch = Launch(tmp_path, [])
    launch.failing[step, 1] = TritonError("not ready after 300 s")
    with pytest.raises(TritonError, match="not ready"):
        launch.serve()
    assert launch.log == STARTED[: STARTED.index(step) + 1]
    assert launch.health.state is State.STARTING


def test_a_second_start_that_fails_is_the_end(tmp_path: Path) -> None:
    launch = Launch(tmp_path, [(9, DEATH)])
    launch.failing["start", 2] = TritonError("not ready after 300 s")
    with pytest.raises(TritonError, match="not ready"):
        launch.serve()
    assert launch.log == [*STARTED, *AGAIN, "kill"]
    assert launch.health.restarts == 0


def test_a_stop_during_a_restart_ends_it(tmp_path: Path) -> None:
    launch = Launch(tmp_path, [(9, DEATH)])
    launch.failing["start", 2] = Stop()
    launch.serve()
    assert launch.log[-2].startswith("drain ")
    assert launch.log[-1] == "kill"


def test_calls_are_answered_for_the_delay_before_triton_is_ended(tmp_path: Path) -> None:
    launch = Launch(tmp_path, [(9, Stop())], delay_s=10)
    stopped = launch.clock() + 9
    launch.serve()
    assert launch.clock() - stopped >= 10
    assert launch.log == [*STARTED, f"drain {DRAIN_TIMEOUT_S:g}", "kill"]


def test_calls_that_never_end_are_waited_for_no_longer_than_the_timeout(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    launch = Launch(tmp_path, [(9, Stop())], [BUSY] * 1000, delay_s=10)
    launch.serve()
    assert launch.log == [*STARTED, f"drain {SHORT_DRAIN_S:g}", "kill"]
    assert "calls are still under way after 40 s" in capsys.readouterr().err


def test_a_second_stop_ends_triton_at_once(tmp_path: Path) -> None:
    launch = Launch(tmp_path, [(9, Stop())], [BUSY, Stop()])
    launch.serve()
    assert launch.log == [*STARTED, "kill", "kill"]


def test_a_triton_that_does_not_become_ready_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Silent:
        killed = False

        def __init__(self, *_: object, **__: object) -> None:
            """Starts nothing."""

        def wait_until_ready(self, *_: object) -> None:
            raise TritonError("not ready after 300 s")

        def kill(self) -> None:
            Silent.killed = True

    for name in ("lay_out_models", "lay_out_backends", "on_gpu"):
        monkeypatch.setattr(supervisor, name, lambda *_, **__: False)
    monkeypatch.setattr(supervisor, "Triton", Silent)
    launch = Launch(tmp_path, [])
    plan = launch.plan
    plan.repository.configs["a"] = None  # type: ignore[assignment]
    with pytest.raises(TritonError, match="not ready"):
        serve(plan, launch.health, lambda: None)
    assert Silent.killed
