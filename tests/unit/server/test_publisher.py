"""The events of the program that publishes models."""

from __future__ import annotations

import io
import subprocess

import pytest

from server.publisher import Ended, Failed, Planned, Published, Publisher, PublisherError, decoded, encoded


class FakeProcess:
    """Prints these lines and ends with this status."""

    def __init__(self, text: str, status: int = 0, *, stubborn: bool = False) -> None:
        self.stdout, self.status, self.stubborn = io.StringIO(text), status, stubborn
        self.running = True
        self.done: list[str] = []

    def poll(self) -> int | None:
        return None if self.running else self.status

    def terminate(self) -> None:
        self.done.append("terminated")
        self.running = self.stubborn

    def kill(self) -> None:
        self.done.append("killed")
        self.running = False

    def wait(self, timeout: float | None = None) -> int:
        if timeout is not None and self.running:
            raise subprocess.TimeoutExpired("x", timeout)
        return self.status


def _publisher(process: FakeProcess) -> Publisher:
    return Publisher(["program"], lambda command: process)  # type: ignore[arg-type, return-value]


@pytest.mark.parametrize("event", [Planned(("a", "b")), Published("a"), Failed("a", "a\nreason"), Ended(3)])
def test_an_event_is_one_line_and_reads_back(event) -> None:
    line = encoded(event)
    assert line.count("\n") == 1
    assert list(decoded([line])) == [event]


def test_lines_that_are_no_events_are_left_out() -> None:
    assert list(decoded(["hello\n", "{}\n", "[1]\n", '{"type":"other"}\n', encoded(Published("a"))])) == [
        Published("a")
    ]


def test_planned_waits_for_the_first_event_and_next_returns_the_others() -> None:
    process = FakeProcess("noise\n" + encoded(Planned(("a",))) + encoded(Published("a")))
    publisher = _publisher(process)
    assert publisher.planned() == ("a",)
    assert [publisher.next(60), publisher.next(60)] == [Published("a"), Ended(0)]
    assert publisher.next(0) is None


def test_a_program_that_ends_without_a_plan_is_an_error() -> None:
    with pytest.raises(PublisherError, match="status 1"):
        _publisher(FakeProcess("", 1)).planned()


@pytest.mark.parametrize(("stubborn", "done"), [(False, ["terminated"]), (True, ["terminated", "killed"])])
def test_close_ends_the_program(stubborn: bool, done: list[str]) -> None:
    process = FakeProcess("", stubborn=stubborn)
    _publisher(process).close()
    assert process.done == done
