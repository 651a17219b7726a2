"""URL → store."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from gateway.audit.chain import Seal
from gateway.audit.errors import AuditError
from gateway.audit.postgresql import PostgreSQLStore
from gateway.audit.sqlite import SQLiteStore
from gateway.audit.store import Store

DEFAULT_URL = "sqlite:///.run/audit.sqlite3"  # .run: where the launcher keeps its own files
TIMEOUT_S = 5.0
_FORMS = "sqlite:///file, sqlite:////absolute/file or postgresql://user:password@host:port/database"


def open_store(url: str, *, key: bytes | None = None, timeout_s: float = TIMEOUT_S) -> Store:
    """Nothing is connected to yet.

    Args:
        url: `sqlite:///audit.sqlite3`, or `postgresql://…` with whatever libpq's parameters it needs (`?sslmode=…`).
        key: secret of the chain (`chain_key`); None for plain SHA-256.
        timeout_s: longest wait for a lock, a statement, a connection.

    Raises:
        AuditError: no such database, or a key that is too short.
    """
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise AuditError(f"AUDIT_URL: expected {_FORMS}, got another text") from None
    kind = parsed.drivername.partition("+")[0]
    if kind in ("postgresql", "postgres"):
        return PostgreSQLStore(parsed, Seal(key), timeout_s)
    if kind == "sqlite":
        return SQLiteStore(_file(parsed), Seal(key), timeout_s)
    raise AuditError(f"AUDIT_URL: expected {_FORMS}, got {kind}:")


def chain_key(environment: Mapping[str, str] = os.environ) -> bytes | None:
    """The secret in AUDIT_KEY, or in the file that AUDIT_KEY_FILE names; None where neither is set.

    Raises:
        AuditError: both are set, or the file cannot be read.
    """
    value, file = environment.get("AUDIT_KEY", ""), environment.get("AUDIT_KEY_FILE", "")
    if value and file:
        raise AuditError("expected AUDIT_KEY or AUDIT_KEY_FILE, got both")
    if not file:
        return value.encode() or None
    try:
        content = Path(file).read_bytes().strip()
    except OSError as exc:
        raise AuditError(f"AUDIT_KEY_FILE: expected a file that can be read: {exc.strerror}") from exc
    if not content:
        raise AuditError("AUDIT_KEY_FILE: expected a secret, got an empty file")
    return content


def _file(url: URL) -> Path:
    if not url.database or url.database == ":memory:" or url.query or url.host:
        raise AuditError("AUDIT_URL: expected a file, as in sqlite:///audit.sqlite3: a log in memory is none")
    return Path(url.database)
