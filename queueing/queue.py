"""A queue whose requests know how long they may wait, and that is never longer than it may be."""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Generic, TypeVar

T = TypeVar("T")

PLACES, MOST_PLACES = "max_queue_size", 1024  # the config's parameter; what holds without it
PLACE_BYTES = 2 << 20  # of a file that waits, on average; most are smaller, a DICOM film is up to 16 MiB
EXPIRY_INTERVAL_S = 0.02  # at least, between two rounds of rejecting those who have waited too long


class Refusal(Enum):
    """Why a request waits no more. In Triton's own words, which clients know: core's scheduler_utils.cc, 24.10."""

    FULL = "Exceeds maximum queue size"
    EXPIRED = "Request timeout expired"


@dataclass(frozen=True, slots=True)
class Waited(Generic[T]):
    """A request whose turn has come.

    Args:
        request: as it entered.
        seconds: that it waited.
    """

    request: T
    seconds: float


@dataclass(frozen=True, slots=True)
class _Waiting(Generic[T]):
    request: T
    items: int
    size_bytes: int
    since: float
    until: float


class RequestQueue(Generic[T]):
    """First come, first served; for any number of threads.

    Args:
        places: requests that may wait, and of their content so many times PLACE_BYTES; one alone may have more.
        refuse: told of each that waits no more, and why; from any thread.
        clock: never goes back, in seconds.
    """

    def __init__(
        self, places: int, refuse: Callable[[T, Refusal], None], *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._places = places
        self._refuse = refuse
        self._clock = clock
        self._held_bytes = 0
        self._waiting: deque[_Waiting[T]] = deque()
        lock = threading.Lock()
        self._changed, self._sooner = threading.Condition(lock), threading.Condition(lock)
        self._closed = False
        self._next_expiry = math.inf  # what the expiry thread waits for
        self._expiry_thread = threading.Thread(target=self._expire, name="expiry", daemon=True)
        self._expiry_thread.start()

    def __len__(self) -> int:
        return len(self._waiting)

    def enter(self, request: T, items: int, timeout_s: float, size_bytes: int = 0) -> None:
        """Wait; refused at once where all places are taken, or all memory.

        Args:
            request: whatever `leave` shall give.
            items: that it counts for in a batch.
            timeout_s: for which it may wait.
            size_bytes: that it holds meanwhile.
        """
        now = self._clock()
        with self._changed:
            full = len(self._waiting) >= self._places or (
                bool(self._waiting) and self._held_bytes + size_bytes > self._places * PLACE_BYTES
            )
            if not full:
                self._waiting.append(_Waiting(request, items, size_bytes, now, now + timeout_s))
                self._held_bytes += size_bytes
                self._changed.notify_all()
                if now + timeout_s < self._next_expiry:
                    self._sooner.notify()
        if full:
            self._refuse(request, Refusal.FULL)

    def leave(self, most: int) -> list[Waited[T]]:
        """Wait for those who are next: `most` items or fewer, or one that has more. Nobody: closed, and empty."""
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._closed)
                late, now = self._take_late(), self._clock()
                taken: list[Waited[T]] = []
                items = 0
                while self._waiting and (not taken or items + self._waiting[0].items <= most):
                    one = self._waiting.popleft()
                    taken.append(Waited(one.request, now - one.since))
                    items += one.items
                    self._held_bytes -= one.size_bytes
                ended = self._closed and not self._waiting
            self._refuse_late(late)
            if taken or ended:
                return taken

    def close(self) -> None:
        """Those who wait are still served, and nobody is told to wait for more."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
            self._sooner.notify()
        self._expiry_thread.join()

    def _expire(self) -> None:
        """Reject who has waited too long then, not when the batch before is done; later where the work holds Python's
        lock for long, as decoding JPEG 2000 does: a tenth of a second a megapixel."""
        while True:
            with self._sooner:
                while not self._closed and not (late := self._take_late()):
                    self._next_expiry = min((one.until for one in self._waiting), default=math.inf)
                    self._sooner.wait(min(self._next_expiry - self._clock(), threading.TIMEOUT_MAX))
                if self._closed:
                    return
            self._refuse_late(late)
            with self._sooner:  # an overloaded queue is not searched for each of them
                self._sooner.wait_for(lambda: self._closed, EXPIRY_INTERVAL_S)

    def _take_late(self) -> list[_Waiting[T]]:
        now = self._clock()
        late = [one for one in self._waiting if one.until <= now]
        if late:
            self._waiting = deque(one for one in self._waiting if one.until > now)
            self._held_bytes -= sum(one.size_bytes for one in late)
        return late

    def _refuse_late(self, late: list[_Waiting[T]]) -> None:
        for one in late:
            self._refuse(one.request, Refusal.EXPIRED)
        late.clear()  # who called waits next, and would hold their files meanwhile
