"""Is the log still what was written? Every byte that is stored takes part in the answer.

Numbers must follow each other without gaps from the head's first to its last; each line must hash, after the hash of
the one before it, to the hash beside it; the id that it is found by must be its own; the last hash must be the head's
and the head's seal must hold; what was removed by age must be what the last retention line says; and SQLite must find
its own pages and indexes whole.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import gateway.audit.lines as lines
from gateway.audit.chain import Head, Seal, noted
from gateway.audit.errors import AuditError, ChainBroken
from gateway.audit.store import Store


@dataclass(frozen=True, slots=True)
class Checked:
    """A line that holds."""

    sequence: int
    text: str
    hash: str
    glance: lines.Glance


def verify(store: Store, expect_head: str | None = None) -> Head:
    """Read the whole log; returns its head, to be noted.

    Args:
        expect_head: a head that was noted earlier, `NUMBER:HASH` or the hash alone: it must be in the chain.

    Raises:
        ChainBroken: at the first fault, which it names.
        AuditError: the log cannot be read, or the noted head is older than what was kept.
    """
    wanted = None if expect_head is None else noted(expect_head)
    if fault := store.faults():
        raise ChainBroken("database", f"{store.name} is damaged: {fault}")
    with store.reading() as connection, store.rows(connection) as rows:
        head = store.head(connection)
        found = wanted is None or _is(wanted, head.first - 1, head.before)
        newest: lines.Checkpoint | None = None
        for line in checked(rows, head, store.seal):
            if line.glance.kind == lines.RETENTION:
                newest = lines.checkpoint(line.text, f"line {line.sequence}")
            found = found or (wanted is not None and _is(wanted, line.sequence, line.hash))
    _check_removed(head, newest)
    if wanted is not None and not found:
        raise _not_found(wanted, head)
    return head


def checked(rows: Iterator[Any], head: Head, seal: Seal) -> Iterator[Checked]:
    """Lines in their order, each as soon as it is known to hold; at their end the head is compared.

    Raises:
        ChainBroken: at the first that does not.
    """
    before, sequence = head.before, head.first - 1
    for row in rows:
        sequence += 1
        place = f"line {sequence}"
        if row.sequence != sequence:
            raise ChainBroken(place, f"expected it here, found {_found(row.sequence)}: lines were removed or added")
        if not (isinstance(row.line, str) and row.hash == seal.of_line(before, row.line)):
            raise ChainBroken(place, "its hash does not follow from it and the line before: one of them was altered")
        glance = lines.glance(row.line, place)
        if row.prediction_id != glance.prediction_id:
            raise ChainBroken(place, "expected to find it by the prediction's id that it holds, found another")
        before = row.hash
        yield Checked(sequence, row.line, before, glance)
    if (sequence, before) != (head.sequence, head.hash):
        raise ChainBroken(f"line {sequence + 1}", f"expected lines up to {head.sequence}, found the last is {sequence}")


def _check_removed(head: Head, newest: lines.Checkpoint | None) -> None:
    told = (1, None) if newest is None else (newest.removed_through + 1, newest.removed_hash)
    if told != (head.first, None if newest is None else head.before):
        raise ChainBroken(f"line {head.first}", "expected a retention line that tells of those before it, found none")


def _is(wanted: tuple[int | None, str], sequence: int, digest: str) -> bool:
    number, noted_digest = wanted
    return noted_digest == digest and number in (None, sequence)


def _not_found(wanted: tuple[int | None, str], head: Head) -> AuditError:
    number, _ = wanted
    if number is not None and number < head.first - 1:
        return AuditError(
            f"the noted head is line {number}, and lines up to {head.first - 1} were removed by age: "
            "the log is sound in itself. Note a newer head"
        )
    return ChainBroken("head", "the noted head is not in this chain: lines were removed from its end, or all rewritten")


def _found(sequence: object) -> str:
    return f"line {sequence}" if isinstance(sequence, int) else "no number"
