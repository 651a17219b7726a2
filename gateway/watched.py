"""A file that may change while the gateway runs."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Generic, TypeVar

LOOK_S = 1.0  # between two looks
T = TypeVar("T")


class WatchedFile(Generic[T]):
    """What a file says now: one that cannot be meant changes nothing, and is told.

    Args:
        file: is looked at when it is asked for, at most every LOOK_S.
        read: its content; raises ValueError or OSError with a sentence.
        tell: gets a sentence at each change.

    Raises:
        ValueError, OSError: the file cannot be meant at the start.
    """

    def __init__(self, file: Path, read: Callable[[Path], T], tell: Callable[[str], None]) -> None:
        self._file, self._read, self._tell = file, read, tell
        self._stamp = self._stamped()
        self._value = read(file)
        self._looked = time.monotonic()

    def value(self) -> T:
        """What holds."""
        if time.monotonic() - self._looked >= LOOK_S:
            self._looked = time.monotonic()
            if (stamp := self._stamped()) != self._stamp:
                self._stamp = stamp
                self._change()
        return self._value

    def _change(self) -> None:
        try:
            self._value = self._read(self._file)
        except (ValueError, OSError) as exc:
            self._tell(f"{self._file.name}: {exc}; what it said before holds")
        else:
            self._tell(f"{self._file.name}: read again")

    def _stamped(self) -> tuple[int, ...]:
        try:
            found = self._file.stat()
        except OSError:
            return ()
        return (found.st_mtime_ns, found.st_ino, found.st_size)
