"""Entries, logs and their raw rows, for the tests of the audit log."""

from __future__ import annotations

import asyncio
import hashlib
import uuid
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import delete, insert, select

from gateway.audit import AuditLog, Entry, Store
from gateway.audit.tables import HEADS, LINES

PATIENCE_S = 120.0


def entry(number: int = 0, **changed: Any) -> Entry:
    """A valid one."""
    fields: dict[str, Any] = {
        "prediction_id": uuid.uuid4().hex,
        "kind": "answer",
        "time": datetime.now(UTC),
        "key": "ward-3",
        "model": "a_model",
        "version": "1",
        "artefact": "fp32.onnx",
        "artefact_sha256": hashlib.sha256(b"artefact").hexdigest(),
        "preprocessing": "3.1.0",
        "outcome": "normal",
        "latency_s": 0.0123,
        "input_sha256": (hashlib.sha256(str(number).encode()).hexdigest(),),
        "route": "a",
    }
    return Entry(**{**fields, **changed})


def audit_log(store: Store, **given: Any) -> AuditLog:
    """A log that waits for no other commit, and whose time-out only ends a hang."""
    return AuditLog(store, **({"timeout_s": PATIENCE_S, "between_commits_s": 0} | given))


async def record_all(store: Store, entries: Iterable[Entry]) -> None:
    """All at once, then close."""
    log = audit_log(store)
    await log.start()
    try:
        await asyncio.gather(*(log.record(each) for each in entries))
    finally:
        await log.close()


def fill(store: Store, count: int, **changed: Any) -> list[Entry]:
    """Record so many, in their order."""
    entries = [entry(number, **changed) for number in range(count)]
    asyncio.run(record_all(store, entries))
    return entries


Rows = tuple[list[dict[str, Any]], list[dict[str, Any]]]


def raw(store: Store) -> Rows:
    """Everything that is stored: lines, heads."""
    with store.transaction() as connection:
        lines = connection.execute(select(LINES).order_by(LINES.c.sequence)).mappings()
        return [dict(row) for row in lines], [dict(row) for row in connection.execute(select(HEADS)).mappings()]


def put(store: Store, rows: Rows) -> None:
    """Replace everything that is stored, as somebody with access to the database can."""
    with store.transaction() as connection:
        for table, content in zip((LINES, HEADS), rows, strict=True):
            connection.execute(delete(table))
            if content:
                connection.execute(insert(table), content)
