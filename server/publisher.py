"""The program that publishes models while the server runs: its process, and the events that it prints.

The exporter is such a program; the server knows only these events. They are lines of JSON on the program's standard
output; what it has to say to people goes to standard error.
"""

from __future__ import annotations

import contextlib
import ctypes
import queue
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from typing import IO, Protocol

import msgspec

END_S = 10.0  # how long the program may take to remove what it has not finished
_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None)


class Planned(msgspec.Struct, frozen=True, tag="planned"):
    """The first event: the models that will be published, in this order. All others are published already."""

    models: tuple[str, ...]


class Published(msgspec.Struct, frozen=True, tag="published"):
    """The files and the manifest of a model are in the repository."""

    model: str


class Failed(msgspec.Struct, frozen=True, tag="failed"):
    """A model will not be published by this run."""

    model: str
    reason: str


class Ended(msgspec.Struct, frozen=True, tag="ended"):
    """The program has ended: no further event follows."""

    status: int


Event = Planned | Published | Failed | Ended


class PublisherError(RuntimeError):
    """The program ended before it reported which models it would publish."""


class Events(Protocol):
    """Where the supervisor gets events from."""

    def next(self, timeout_s: float) -> Event | None:
        """Return the next event, or None if there is none within `timeout_s`."""

    def close(self) -> None:
        """End what publishes."""


class NoEvents:
    """Of a repository that is complete."""

    def next(self, timeout_s: float) -> Event | None:
        time.sleep(timeout_s)
        return None

    def close(self) -> None:
        """There is nothing to end."""


class Publisher:
    """A child process that dies with this one, and its events.

    Args:
        command: the program and its arguments.
        start: starts it.
    """

    def __init__(self, command: Sequence[str], start: Callable[[Sequence[str]], subprocess.Popen[str]]) -> None:
        self._process = start(command)
        self._events: queue.SimpleQueue[Event] = queue.SimpleQueue()
        threading.Thread(target=self._read, name="publisher", daemon=True).start()

    def planned(self) -> tuple[str, ...]:
        """Wait for the first event, and return the models that will be published.

        Raises:
            PublisherError: the program ended without one.
        """
        while True:
            match self._events.get():
                case Planned(models):
                    return models
                case Ended(status):
                    raise PublisherError(f"the export ended with status {status}; see its message above")

    def next(self, timeout_s: float) -> Event | None:
        with contextlib.suppress(queue.Empty):
            return self._events.get(timeout=timeout_s)
        return None

    def close(self) -> None:
        """End the program, and wait until it has removed what it had not finished."""
        if self._process.poll() is not None:
            return
        self._process.terminate()
        try:
            self._process.wait(END_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _read(self) -> None:
        for event in decoded(self._process.stdout or ()):
            self._events.put(event)
        self._events.put(Ended(self._process.wait()))


def start(command: Sequence[str]) -> subprocess.Popen[str]:
    """Start a program in a session of its own: a Ctrl-C at the terminal reaches the launcher alone, which ends it."""
    return subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
        errors="replace",
        start_new_session=True,
        preexec_fn=end_with_parent,
    )


def end_with_parent() -> None:
    """Ask the kernel for a SIGTERM at the end of the parent process, however it ends."""
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def encoded(event: Event) -> str:
    """One line."""
    return msgspec.json.encode(event).decode() + "\n"


def decoded(lines: IO[str] | Iterable[str]) -> Iterable[Event]:
    """The events among these lines; other lines are left out."""
    for line in lines:
        with contextlib.suppress(msgspec.DecodeError, msgspec.ValidationError):
            yield msgspec.json.decode(line, type=Event)
