"""The embedded default: one file.

Write-ahead log, so that reading (verify, export, find) never waits for writing nor the other way round; synchronous
FULL, so that a commit is on the disk when it returns, power cut included (NORMAL would lose the last ones then).
`BEGIN IMMEDIATE` takes the file's one write lock before the head is read: two processes never extend the same head.
The disk must be a local one: SQLite's shared memory does not work over NFS.
"""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sqlalchemy import Connection, Engine, QueuePool, create_engine, event
from sqlalchemy.exc import DBAPIError

from gateway.audit.chain import Seal
from gateway.audit.errors import LogUnavailable
from gateway.audit.store import Store

_DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_MISMATCH)
_BEGIN = "audit_begin"


class SQLiteStore(Store):
    """Args: path: of the file; timeout_s: longest wait for another process's transaction."""

    def __init__(self, path: Path, seal: Seal, timeout_s: float) -> None:
        super().__init__(_engine(path, timeout_s), seal, path.name)
        self._path = path
        self._inode: tuple[int, int] | None = None

    def faults(self) -> str:
        """What SQLite finds wrong in its pages and indexes."""
        found = self._pragma("integrity_check(1)")
        return "" if found == "ok" else str(found)

    def tidy(self) -> None:
        """Empty the write-ahead log, which still holds what was removed; pages are overwritten by secure_delete."""
        self._pragma("wal_checkpoint(TRUNCATE)")

    def _make(self) -> None:
        """A file that is there is kept. A new one is its owner's alone to read, and so are those beside it."""
        try:
            os.close(os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
            self._inode = _inode(self._path)
        except OSError as exc:
            raise LogUnavailable(f"{self.name}: the audit log cannot be made or opened: {exc.strerror}") from exc
        if self._pragma("journal_mode=WAL") != "wal":
            raise LogUnavailable(f"{self.name}: expected a local disk, got one on which SQLite has no write-ahead log")

    def _pragma(self, what: str) -> object:
        """Outside of a transaction; returns the first value."""
        with self._told(), self._engine.connect() as connection:
            return connection.exec_driver_sql(f"PRAGMA {what}").scalar()

    def _lock_creation(self, connection: Connection) -> None:
        """BEGIN IMMEDIATE has."""

    def _to_write(self) -> dict[str, Any]:
        return {_BEGIN: "BEGIN IMMEDIATE"}

    def _to_read(self) -> dict[str, Any]:
        return {_BEGIN: "BEGIN"}

    def _damaged(self, error: DBAPIError) -> bool:
        return getattr(error.orig, "sqlite_errorcode", 0) & 0xFF in _DAMAGED

    def _check_present(self) -> None:
        """A file that was removed or replaced is still written to, and its lines are lost with its last user."""
        if self._inode is not None and _inode(self._path) != self._inode:
            self.close()
            raise LogUnavailable(
                f"{self.name}: expected the file that was there at the start, found another or none. "
                "Put it back, or start the gateway again to begin a new log"
            )


def _inode(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _engine(path: Path, timeout_s: float) -> Engine:
    # mode=rw: a file that is gone is not made anew by whoever looks for it.
    address = f"file:{quote(str(path.absolute()))}?mode=rw"
    engine = create_engine(
        "sqlite+pysqlite://", creator=lambda: _connect(address, timeout_s), hide_parameters=True, poolclass=QueuePool
    )

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        if statement := connection.get_execution_options().get(_BEGIN):
            connection.exec_driver_sql(statement)

    return engine


def _connect(address: str, timeout_s: float) -> sqlite3.Connection:
    # Transactions are ours to begin: Python 3.11's module would begin them late, and not as IMMEDIATE.
    connection = sqlite3.connect(address, uri=True, timeout=timeout_s, isolation_level=None, check_same_thread=False)
    # Damaged text is for the chain to find, not for the decoder to stumble over.
    connection.text_factory = lambda raw: raw.decode("utf-8", "surrogateescape")
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("PRAGMA secure_delete=ON")
    return connection
