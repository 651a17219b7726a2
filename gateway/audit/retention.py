"""Removal by age. What remains still verifies: it begins after the hash of the last line that went.

Lines go from the beginning only, up to the first that is young enough, so that the chain has no holes. Each is checked
before it goes: altered lines are not swept away with the old ones. A retention line at the end of the chain tells how
many went, when, and the last one's hash; the head tells where the chain begins now. Each portion is one transaction,
so that gateways wait for the lock only shortly, and a killed removal leaves a sound log.
"""

from __future__ import annotations

from datetime import UTC, datetime

from gateway.audit.lines import Checkpoint
from gateway.audit.store import Store
from gateway.audit.verification import Checked, checked

LINES_AT_ONCE = 10_000


def prune(store: Store, before: datetime) -> int:
    """Remove lines from before a time; returns how many.

    Args:
        before: UTC.

    Raises:
        ChainBroken: one of them is not what was written; none of its portion was removed.
        AuditError: the log cannot be written.
    """
    removed = 0
    while portion := _portion(store, before):
        removed += portion
    if removed:
        store.tidy()
    return removed


def _portion(store: Store, before: datetime) -> int:
    with store.transaction() as connection:
        head = store.head(connection, lock=True)
        last: Checked | None = None
        with store.rows(connection) as rows:
            for line in checked(rows, head, store.seal):
                if line.glance.time >= before or line.sequence - head.first >= LINES_AT_ONCE:
                    break
                last = line
        if last is None:
            return 0
        count = last.sequence - head.first + 1
        note = Checkpoint(time=datetime.now(UTC), removed=count, removed_through=last.sequence, removed_hash=last.hash)
        store.remove(connection, head, note)
        return count
