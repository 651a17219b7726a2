"""The log as the gateway uses it: asyncio in front, one thread that writes behind.

`record` returns when its line is committed. Lines that come while the thread is committing wait and are committed
together, so that one flush of the disk serves all requests under way. A commit costs the same for one line as for
fifty, and its cost is processor time that models need: under load one begins at most every 20 ms, at rest at once.

It fails closed: where the line cannot be written in time, `record` raises and the gateway gives no answer out. The
reverse is possible, and harmless: a line of an answer that was never given out, when the wait or the connection ends
in the very commit. Nothing is tried again here, so that no line can be there twice; the next one finds the database
again by itself.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

import gateway.audit.lines as lines
from gateway.audit.chain import Head
from gateway.audit.entry import Entry
from gateway.audit.errors import AuditError, ChainBroken, LogUnavailable
from gateway.audit.opening import TIMEOUT_S
from gateway.audit.store import Line, Store

MOST_TOGETHER = 500
MOST_WAITING = 10_000
LINES_BETWEEN_NOTES = 10_000
LOOKED_BACK = 1_000_000  # lines
BETWEEN_COMMITS_S = 0.02
_TELL = logging.getLogger(__name__)


@dataclass(slots=True, eq=False)
class _Waiting:
    """A line, and the caller that waits for it.

    Args:
        given_up: its caller has told that there is no answer: it need not be written any more.
    """

    line: Line
    done: asyncio.Future[None]
    given_up: bool = False


class AuditLog:
    """Records entries in a store.

    Args:
        store: where.
        timeout_s: longest that a caller waits for its line.
        between_commits_s: shortest time from the beginning of one commit to that of the next.
        clock: seconds that only grow.
        sleep: lets so many of them pass.
    """

    def __init__(
        self,
        store: Store,
        *,
        timeout_s: float = TIMEOUT_S + 1,
        between_commits_s: float = BETWEEN_COMMITS_S,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._store, self._clock, self._sleep = store, clock, sleep
        self._between_s = between_commits_s
        self._last_s = -math.inf
        self._timeout_s = timeout_s
        self._queue: queue.Queue[_Waiting | None] = queue.Queue(MOST_WAITING)
        self._thread: threading.Thread | None = None
        self._head: Head | None = None
        self._noted = self._refused = 0

    async def start(self) -> None:
        """Make or open the log, check its head, begin to write.

        Raises:
            AuditError: it cannot be used.
        """
        if self._thread is not None:
            raise AuditError("audit log: expected one start, got another")
        self._note(await asyncio.to_thread(self._store.create), "opened")
        # A daemon: what it had not committed was answered to nobody.
        self._thread = threading.Thread(target=self._write_all, name="audit", daemon=True)
        self._thread.start()

    async def close(self) -> None:
        """Write what waits, as far as the database answers in time, then leave it."""
        thread, self._thread = self._thread, None
        if thread is None:
            return
        await asyncio.to_thread(self._end, thread)
        if self._head is not None:
            self._note(self._head, "closed")
        if not thread.is_alive():  # else its connection is still in use, and ends with the process
            await asyncio.to_thread(self._store.close)

    async def record(self, entry: Entry) -> None:
        """Returns when the line is on disk.

        Raises:
            AuditError: it is not, or nobody knows. The answer must not go out.
        """
        if self._thread is None:
            raise LogUnavailable("audit log: it is not open")
        line = Line(entry.prediction_id, lines.canonical(entry))
        waiting = _Waiting(line, asyncio.get_running_loop().create_future())
        try:
            self._queue.put_nowait(waiting)
        except queue.Full:
            raise LogUnavailable(f"audit log: {MOST_WAITING} lines are waiting to be written already") from None
        try:
            # A caller that goes away meanwhile does not take its line along.
            async with asyncio.timeout(self._timeout_s):
                await waiting.done
        except TimeoutError:
            waiting.given_up = True
            raise LogUnavailable(f"audit log: no line was written within {self._timeout_s:g} s") from None

    async def find(self, prediction_id: str) -> Entry | None:
        """The entry of the answer of this id, else of its refusal or error; None where there is none, or no more.

        A canary that was away has left an error beside the answer.

        It reads the line as it stands; whether it is still what was written, `verify` tells.

        Raises:
            AuditError: the log cannot be read.
        """
        try:
            async with asyncio.timeout(self._timeout_s):
                kept = await asyncio.to_thread(self._store.lines_of, prediction_id)
        except TimeoutError:
            raise LogUnavailable(f"audit log: no line was read within {self._timeout_s:g} s") from None
        found = [lines.entry(line, f"lines of prediction {prediction_id[:32]}") for line in kept]
        own = [entry for entry in found if entry.kind not in ("shadow", "feedback")]
        return next((entry for entry in own if entry.kind == "answer"), own[0] if own else None)

    async def labelled(self, most: int) -> list[tuple[Entry, str]]:
        """Answers with what was last said of each in feedback, in that order.

        Args:
            most: newest feedback that is looked at, within the last LOOKED_BACK lines.

        Raises:
            AuditError: the log cannot be read.
        """
        return await asyncio.to_thread(self._labelled, most)  # thousands of lines to read, and callers do not wait

    def _labelled(self, most: int) -> list[tuple[Entry, str]]:
        found: dict[str, tuple[Entry, str]] = {}
        for texts in self._store.labelled(most, LOOKED_BACK):
            answer, told = (lines.entry(text, "lines with feedback") for text in texts)
            found.pop(answer.prediction_id, None)  # a correction stands where it came
            found[answer.prediction_id] = answer, told.outcome
        return [*found.values()]

    def _end(self, thread: threading.Thread) -> None:
        with contextlib.suppress(queue.Full):
            self._queue.put(None, timeout=self._timeout_s)
            thread.join(self._timeout_s)

    def _write_all(self) -> None:
        ended = False
        while not ended:
            group, ended = self._group()
            if group:
                self._write(group)

    def _group(self) -> tuple[list[_Waiting], bool]:
        """What waits and was not given up, at least one; whether the end came."""
        group: list[_Waiting] = []
        following = self._queue.get()
        if following is not None and (rest_s := self._last_s + self._between_s - self._clock()) > 0:
            self._sleep(rest_s)
        self._last_s = self._clock()
        while following is not None:
            if not following.given_up:
                group.append(following)
            if len(group) >= MOST_TOGETHER:
                break
            try:
                following = self._queue.get_nowait()
            except queue.Empty:
                break
        return group, following is None

    def _write(self, group: list[_Waiting]) -> None:
        try:
            self._head = self._store.append([waiting.line for waiting in group], after=self._head)
        except Exception as exc:  # whatever it is, those who wait must hear of it, and the thread must live
            error = exc if isinstance(exc, AuditError) else LogUnavailable(f"audit log: {type(exc).__name__}")
            self._tell_of(error, len(group))
            _wake(group, error)
            return
        if self._refused:
            _TELL.warning("audit log %s: recording again; %d lines were not", self._store.name, self._refused)
            self._refused = 0
        _wake(group, None)
        if self._head.sequence - self._noted >= LINES_BETWEEN_NOTES:
            self._note(self._head, "grown")

    def _tell_of(self, error: AuditError, count: int) -> None:
        """The first of a series; how many there were is told at its end."""
        if not self._refused:
            tell = _TELL.critical if isinstance(error, ChainBroken) else _TELL.error
            tell("audit log %s: nothing is recorded, and no answer goes out: %s", self._store.name, error)
        self._refused += count

    def _note(self, head: Head, how: str) -> None:
        """In a log kept elsewhere this is the head that `verify --expect-head` takes."""
        self._head, self._noted = head, head.sequence
        _TELL.info("audit log %s %s, head %s (%s)", self._store.name, how, head, head.method)


def _wake(group: list[_Waiting], error: AuditError | None) -> None:
    """Tell those who wait, from the thread, with one call for each event loop."""
    for loop in {waiting.done.get_loop() for waiting in group}:
        theirs = [waiting.done for waiting in group if waiting.done.get_loop() is loop]
        with contextlib.suppress(RuntimeError):  # a loop that was closed: nobody waits any more
            loop.call_soon_threadsafe(_settle, theirs, error)


def _settle(waiting: list[asyncio.Future[None]], error: AuditError | None) -> None:
    for done in waiting:
        if done.done():
            continue
        if error is None:
            done.set_result(None)
        else:
            done.set_exception(error)
