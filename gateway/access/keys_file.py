"""The file of keys, looked at again while the gateway runs.

What happens to it             what it means
replaced, and well             the new keys, within LOOK_S
replaced, and broken           the old keys stay; said once, and `medserve_gateway_keys_broken` is 1
removed                        nobody may, until it is back

Only its owner may read it (0600), or it is root's and the gateway is not root's: so Kubernetes mounts secrets, and a
read-only mount is taken from root too. Nobody else may ever write it. Replace it by renaming another over it, else a
half is read.
"""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from prometheus_client import Gauge

from gateway.access.caller import Caller
from gateway.access.errors import AccessError
from gateway.access.keyring import Defaults, KeyRing
from gateway.access.keys import Key, read_file

LOOK_S = 1.0
LARGEST_BYTES = 4 << 20
# A file that was written just now may be written again without a new time: such a one is read again.
_SETTLED_S = 2.0
_Stamp = tuple[int, ...]


class KeysFile:
    """The keys that a file holds now.

    Raises:
        AccessError: at first there is none that can be used.
    """

    def __init__(self, path: Path, defaults: Defaults, broken: Gauge, say: Callable[[str], None]) -> None:
        self._path, self._defaults, self._broken, self._say = path, defaults, broken, say
        self._said, self._looked = "", time.monotonic()
        self._stamp: _Stamp | None = None
        try:
            self._read()
        except FileNotFoundError:
            raise AccessError(f"GATEWAY_KEYS_FILE: expected a file, got none at {path}") from None

    def find(self, secret: str, now: datetime) -> Caller | None:
        """See KeyRing."""
        if time.monotonic() - self._looked >= LOOK_S:
            self._look()
        return self._ring.find(secret, now)

    def _look(self) -> None:
        self._looked = time.monotonic()
        try:
            if self._stamp is None or _stamp(os.stat(self._path)) != self._stamp:
                self._read()
                self._tell("", broken=False)
        except (FileNotFoundError, NotADirectoryError):
            self._ring, self._stamp = KeyRing((), self._defaults), None
            self._tell(f"{self._path}: expected keys, got no file: nobody may, until there is one", broken=True)
        except AccessError as exc:
            self._stamp = None
            self._tell(f"{exc}. The keys from before stay.", broken=True)
        except OSError as exc:
            self._stamp = None
            self._tell(f"{self._path}: {exc.strerror}. The keys from before stay.", broken=True)

    def _read(self) -> None:
        keys, stamp = read_keys(self._path)
        self._ring = KeyRing(keys, self._defaults)
        self._stamp = stamp if time.time() - stamp[0] / 1e9 > _SETTLED_S else None

    def _tell(self, sentence: str, *, broken: bool) -> None:
        """Once, until it is another sentence."""
        self._broken.set(broken)
        if sentence and sentence != self._said:
            self._say(sentence)
        self._said = sentence


def read_keys(path: Path) -> tuple[Sequence[Key], _Stamp]:
    """What a file holds, and a stamp that is another when it holds something else.

    Raises:
        AccessError: no file of keys, or one that others than its owner can reach.
        OSError: it cannot be read.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)  # a pipe would block for ever
    try:
        found = os.fstat(descriptor)
        _check(path, found, read_only=bool(os.fstatvfs(descriptor).f_flag & os.ST_RDONLY))
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            content = file.read(LARGEST_BYTES)
    finally:
        os.close(descriptor)
    try:
        return read_file(content), _stamp(found)
    except AccessError as exc:
        raise AccessError(f"{path}: {exc}") from None


def _check(path: Path, found: os.stat_result, *, read_only: bool) -> None:
    if not stat.S_ISREG(found.st_mode):
        raise AccessError(f"{path}: expected a file, got another kind of thing")
    if found.st_size >= LARGEST_BYTES:
        raise AccessError(f"{path}: expected less than {LARGEST_BYTES} bytes, got {found.st_size}")
    mounted = found.st_uid == 0 and (os.geteuid() != 0 or read_only)
    if found.st_mode & (0o022 if mounted else 0o077):
        raise AccessError(
            f"{path}: expected a file that only its owner can reach, got mode {stat.S_IMODE(found.st_mode):04o}. "
            "Run chmod 600 on it."
        )


def _stamp(found: os.stat_result) -> _Stamp:
    return found.st_mtime_ns, found.st_ino, found.st_dev, found.st_size, found.st_mode, found.st_uid


def utc_now() -> datetime:
    """The time that keys end by."""
    return datetime.now(UTC)
