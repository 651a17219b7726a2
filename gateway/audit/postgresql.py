"""A PostgreSQL by its URL: for several gateways, or where the hospital keeps its databases.

The head's row lock (SELECT … FOR UPDATE) makes gateways take turns; the lines' primary key is the second bolt. The
role needs SELECT and INSERT on audit_lines, SELECT and UPDATE on audit_head, and CREATE only for the first start;
UPDATE and DELETE on audit_lines are `prune`'s alone, and best another role's.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import URL, Connection, create_engine, event, text
from sqlalchemy.exc import DBAPIError

from gateway.audit.chain import Seal
from gateway.audit.store import Store

_CREATION = 0x6D656473  # any number that every gateway uses
_DAMAGED = ("XX001", "XX002")  # data_corrupted, index_corrupted


class PostgreSQLStore(Store):
    """Args: url: of any PostgreSQL form; timeout_s: longest wait for a lock, a statement or a connection."""

    def __init__(self, url: URL, seal: Seal, timeout_s: float) -> None:
        seconds, milliseconds = max(1, round(timeout_s)), round(timeout_s * 1000)
        engine = create_engine(
            url.set(drivername="postgresql+psycopg"),
            pool_pre_ping=True,  # a server that restarted is not an error of the next line
            hide_parameters=True,
            connect_args={"connect_timeout": seconds, "tcp_user_timeout": milliseconds, **_keepalive(seconds)},
        )

        @event.listens_for(engine, "connect")
        def _set_up(connection: Any, _: Any) -> None:
            connection.execute(f"SET lock_timeout = {milliseconds}; SET statement_timeout = {milliseconds}")
            if connection.execute("SHOW synchronous_commit").fetchone() == ("off",):
                connection.execute("SET synchronous_commit = on")  # a commit that returns is on the disk
            connection.commit()

        super().__init__(engine, seal, f"{url.host or 'local'}/{url.database}")

    def faults(self) -> str:
        """PostgreSQL tells of broken pages as they are read (data checksums: `initdb -k`)."""
        return ""

    def tidy(self) -> None:
        """Autovacuum does."""

    def _check_present(self) -> None:
        """A server answers for its own files."""

    def _make(self) -> None:
        """The database is there, or nothing can be done."""

    def _lock_creation(self, connection: Connection) -> None:
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _CREATION})

    def _to_write(self) -> dict[str, Any]:
        return {"isolation_level": "READ COMMITTED"}

    def _to_read(self) -> dict[str, Any]:
        return {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}

    def _damaged(self, error: DBAPIError) -> bool:
        return getattr(error.orig, "sqlstate", None) in _DAMAGED


def _keepalive(seconds: int) -> dict[str, int]:
    return {"keepalives": 1, "keepalives_idle": seconds, "keepalives_interval": seconds, "keepalives_count": 2}
