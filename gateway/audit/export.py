"""Lines out of the log, as they stand: for an inspector, a spreadsheet, another archive.

An export of everything proves itself: chained from the hash before its first line (64 zeros where nothing was ever
removed), its lines hash to the head.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from datetime import datetime

import gateway.audit.lines as lines
from gateway.audit.errors import ChainBroken
from gateway.audit.store import Store


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which lines.

    Args:
        since: UTC; the time itself is included.
        until: UTC; it is not.
        model: of this model only; retention lines have none.
    """

    since: datetime | None = None
    until: datetime | None = None
    model: str | None = None

    def __contains__(self, line: lines.Glance) -> bool:
        return (
            (self.since is None or line.time >= self.since)
            and (self.until is None or line.time < self.until)
            and (self.model is None or line.model == self.model)
        )


def export_lines(store: Store, wanted: Wanted) -> Generator[str]:
    """Lines, oldest first, streamed; to be closed by whoever does not want them all.

    Raises:
        ChainBroken: what stands there is no line.
        AuditError: the log cannot be read.
    """
    with store.reading() as connection, store.rows(connection) as rows:
        for row in rows:
            place = f"line {row.sequence}"
            if not isinstance(row.line, str):
                raise ChainBroken(place, "expected text, found something else")
            if lines.glance(row.line, place) in wanted:
                yield row.line
