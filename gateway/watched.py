"""A file that may change while the gateway runs."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Generic, TypeVar

LOOK_S = 1.0  # between two looks
# A file that was written just now may be written again without a new time: such a one is read again.
SETTLED_S = 2.0
T = TypeVar("T")
_Stamp = tuple[int, ...]


class WatchedFile(Generic[T]):
    """What a file says now: one that cannot be meant changes nothing, and is told.

    Args:
        file: is looked at when it is asked for, at most every LOOK_S.
        read: its content; raises ValueError or OSError with a sentence.
        tell: gets a sentence when the file cannot be meant, once until it is another; "" when it was read anew.
        gone: what holds while there is no file, and how that is told; None: what it said before.
        clock: seconds that only grow.

    Raises:
        ValueError, OSError: the file cannot be meant at the start.
    """

    def __init__(
        self,
        file: Path,
        read: Callable[[Path], T],
        tell: Callable[[str], None],
        *,
        gone: tuple[T, str] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._file, self._read, self._tell, self._gone = file, read, tell, gone
        self._clock = clock
        self._said, self._looked = "", clock()
        self._stamp, self._value = _stamp(file), read(file)

    def value(self) -> T:
        """What holds."""
        if (now := self._clock()) - self._looked >= LOOK_S:
            self._looked = now
            stamp = _stamp(self._file)
            if stamp != self._stamp or self._said or not _settled(stamp):
                self._look(stamp)
        return self._value

    def _look(self, stamp: _Stamp) -> None:
        """Read what has this stamp; what is written meanwhile has another."""
        sentence = ""
        try:
            self._value = self._read(self._file)
        except (ValueError, OSError) as exc:
            sentence = f"{str(exc).rstrip('.')}; what it said before holds"
            if self._gone is not None and isinstance(exc, (FileNotFoundError, NotADirectoryError)):
                self._value, sentence = self._gone
        if sentence != self._said or (not sentence and stamp != self._stamp):
            self._tell(sentence)
        self._stamp, self._said = stamp, sentence


def _settled(stamp: _Stamp) -> bool:
    return bool(stamp) and time.time() - stamp[0] / 1e9 > SETTLED_S


def _stamp(file: Path) -> _Stamp:
    try:
        found = os.stat(file)
    except OSError:
        return ()
    return found.st_mtime_ns, found.st_ctime_ns, found.st_ino, found.st_dev, found.st_size, found.st_mode, found.st_uid
