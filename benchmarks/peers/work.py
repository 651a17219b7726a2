"""What a service computes, whichever variant it was started for."""

from __future__ import annotations

from typing import Any, Protocol

from benchmarks.peers.task import Task


class Work(Protocol):
    """One picture at a time, then any number of them at once."""

    def prepare(self, file: bytes) -> Any:
        """A picture as the network takes it."""

    def predict(self, batch: Any) -> list[list[float]]:
        """Probabilities of each of a list of those."""


def open_work() -> Work:
    """This process's own; imports torch for the documented variant only."""
    task = Task.read()
    if task.variant == "engine":
        from benchmarks.peers.engine import Engine

        return Engine(task)
    from benchmarks.peers.eager import Eager

    return Eager(task)
