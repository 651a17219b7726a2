"""The audit trail: one line for each prediction, hash-chained, in SQLite or PostgreSQL."""

from __future__ import annotations

from gateway.audit.entry import LONGEST, Entry, is_recordable
from gateway.audit.errors import AuditError, ChainBroken, InvalidEntry, LogUnavailable
from gateway.audit.log import AuditLog
from gateway.audit.opening import DEFAULT_URL, chain_key, open_store
from gateway.audit.store import Store

__all__ = [
    "DEFAULT_URL", "LONGEST", "AuditError", "AuditLog", "ChainBroken", "Entry", "InvalidEntry", "LogUnavailable",
    "Store", "chain_key", "is_recordable", "open_store",
]  # fmt: skip
