"""The file of keys, looked at again while the gateway runs.

What happens to it             what it means
replaced, and well             the new keys, within a second
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
from gateway.watched import WatchedFile

LARGEST_BYTES = 4 << 20


class KeysFile:
    """The keys that a file holds now.

    Raises:
        AccessError: at first there is none that can be used.
    """

    def __init__(
        self,
        path: Path,
        defaults: Defaults,
        broken: Gauge,
        say: Callable[[str], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._broken, self._say = broken, say
        nobody = (KeyRing((), defaults), f"{path}: expected keys, got no file: nobody may, until there is one")
        try:
            self._ring = WatchedFile(
                path, lambda file: KeyRing(read_keys(file), defaults), self._tell, gone=nobody, clock=clock
            )
        except FileNotFoundError:
            raise AccessError(f"GATEWAY_KEYS_FILE: expected a file, got none at {path}") from None

    def find(self, secret: str, now: datetime) -> Caller | None:
        """See KeyRing."""
        return self._ring.value().find(secret, now)

    def _tell(self, sentence: str) -> None:
        self._broken.set(bool(sentence))
        if sentence:
            self._say(sentence)


def read_keys(path: Path) -> Sequence[Key]:
    """What a file holds.

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
        return read_file(content)
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


def utc_now() -> datetime:
    """The time that keys end by."""
    return datetime.now(UTC)
