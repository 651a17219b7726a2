"""A chain in a database: transactions that lengthen or shorten it, snapshots that read it.

Every writing transaction takes the head for itself first and replaces it last, so that any number of gateways make
one chain without branches: they wait for each other, line by line or group by group. What a killed process had not
committed is gone as if it had never been; what it had is whole.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Connection, Engine, delete, insert, inspect
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from gateway.audit.chain import ZERO, Head, Seal
from gateway.audit.errors import ChainBroken, LogUnavailable
from gateway.audit.lines import Checkpoint, canonical
from gateway.audit.tables import (
    ADD_LINES,
    ALL_LINES,
    FIND_LINES,
    HEAD_ID,
    HEADS,
    LABELLED,
    LINES,
    READ_HEAD,
    REPLACE_HEAD,
    TAKE_HEAD,
    metadata,
)  # fmt: skip

ROWS_AT_ONCE = 2000


@dataclass(frozen=True, slots=True)
class Line:
    """What is to be written: the line, and what it is found by."""

    prediction_id: str
    text: str


class Store(ABC):
    """One database. Methods block, and may be called from any thread.

    Args:
        engine: to it.
        seal: the chain's.
        name: for messages; without a password.
    """

    def __init__(self, engine: Engine, seal: Seal, name: str) -> None:
        self.seal = seal
        self.name = name
        self._engine = engine

    def create(self) -> Head:
        """Make what is missing of an empty log; of one that is there, read the head.

        Raises:
            AuditError: it cannot be made or read, or its head is not what was written.
        """
        self._make()
        with self.transaction() as connection:
            self._lock_creation(connection)
            there = [table for table in metadata.sorted_tables if inspect(connection).has_table(table.name)]
            if len(there) == 1:
                raise ChainBroken("database", f"found {there[0].name} alone: the other table was removed")
            if not there:
                metadata.create_all(connection)
                head = Head(first=1, before=ZERO, sequence=0, hash=ZERO, method=self.seal.method)
                sealed = {"line": canonical(head), "seal": self.seal.of_head(canonical(head))}
                connection.execute(insert(HEADS).values(id=HEAD_ID, **sealed))
        with self.reading() as connection:
            return self.head(connection)

    def append(self, lines: Sequence[Line], after: Head | None = None) -> Head:
        """Lengthen the chain, all or nothing; returns when the lines are on disk.

        Args:
            lines: in their order.
            after: a head that was there before: the chain must have grown from it.

        Raises:
            LogUnavailable: it could not be written. Where the connection broke in the very commit, the lines may be
                there all the same.
            ChainBroken: the head is not what was written, or is older than `after`.
        """
        with self.transaction() as connection:
            head = self.head(connection, lock=True)
            _grown(head, after)
            return self.extend(connection, head, lines)

    def extend(self, connection: Connection, head: Head, lines: Sequence[Line]) -> Head:
        """Write lines and the head after them, within a transaction that holds `head`."""
        rows, before = [], head.hash
        for sequence, line in enumerate(lines, head.sequence + 1):
            before = self.seal.of_line(before, line.text)
            rows.append({"sequence": sequence, "prediction_id": line.prediction_id, "line": line.text, "hash": before})
        if rows:
            connection.execute(ADD_LINES, rows)
        return self._replace_head(connection, replace(head, sequence=head.sequence + len(rows), hash=before))

    def remove(self, connection: Connection, head: Head, note: Checkpoint) -> Head:
        """Remove the oldest lines, as the note tells and keeps, within a transaction that holds `head`."""
        connection.execute(delete(LINES).where(LINES.c.sequence <= note.removed_through))
        shorter = replace(head, first=note.removed_through + 1, before=note.removed_hash)
        return self.extend(connection, shorter, [Line("", canonical(note))])

    def head(self, connection: Connection, *, lock: bool = False) -> Head:
        """Read the head, and check its seal.

        Args:
            lock: keep it from others until the transaction ends.
        """
        rows = connection.execute(TAKE_HEAD if lock else READ_HEAD).all()
        if [row.id for row in rows] != [HEAD_ID]:
            raise ChainBroken("head", f"expected one record, found {len(rows) or 'none'}, or not under its number")
        return self.seal.open_head(rows[0].line, rows[0].seal)

    def lines_of(self, prediction_id: str) -> list[str]:
        """Lines that belong to a prediction, oldest first."""
        with self.reading() as connection:
            return list(connection.execute(FIND_LINES, {"wanted": prediction_id}).scalars())

    def labelled(self, most: int, back: int) -> list[tuple[str, str]]:
        """Lines of answers, each with one of its feedback, in the order of feedback, oldest first.

        Args:
            most: newest that are wanted.
            back: lines, from the newest, that are looked through.
        """
        with self.reading() as connection:
            found = connection.execute(LABELLED, {"most": most, "back": back}).all()
        return [(answer, told) for answer, told in reversed(found)]

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """To write in. It ends with all or nothing of what was done."""
        with self._connected(self._to_write()) as connection:
            yield connection
        self._check_present()

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """To read in: one state of the log, whatever is written meanwhile."""
        with self._connected(self._to_read()) as connection:
            if missing := [t.name for t in metadata.sorted_tables if not inspect(connection).has_table(t.name)]:
                raise _missing(self.name, missing)
            yield connection

    @contextmanager
    def rows(self, connection: Connection) -> Iterator[Iterator[Any]]:
        """All lines in their order, streamed: `sequence`, `prediction_id`, `line`, `hash`."""
        with connection.execute(ALL_LINES, execution_options={"yield_per": ROWS_AT_ONCE}) as found:
            yield iter(found)

    def close(self) -> None:
        """Leave the database. A store that is used again connects again."""
        self._engine.dispose()

    @abstractmethod
    def faults(self) -> str:
        """What the database itself finds wrong in its files; "" where nothing is, or it cannot tell."""

    @abstractmethod
    def tidy(self) -> None:
        """After a removal: leave nothing of it lying about."""

    @abstractmethod
    def _make(self) -> None:
        """Make the place for the tables."""

    @abstractmethod
    def _lock_creation(self, connection: Connection) -> None:
        """Let nobody else make tables until the transaction ends."""

    @abstractmethod
    def _to_write(self) -> dict[str, Any]:
        """Execution options of a transaction that writes."""

    @abstractmethod
    def _to_read(self) -> dict[str, Any]:
        """Execution options of a transaction that sees one state."""

    @abstractmethod
    def _damaged(self, error: DBAPIError) -> bool:
        """Whether an error says that what is stored is broken, not that it is out of reach."""

    @abstractmethod
    def _check_present(self) -> None:
        """Raises: LogUnavailable: what was written went to a place that nobody will read."""

    def _replace_head(self, connection: Connection, head: Head) -> Head:
        text = canonical(head)
        connection.execute(REPLACE_HEAD, {"new_line": text, "new_seal": self.seal.of_head(text)})
        return head

    @contextmanager
    def _connected(self, options: dict[str, Any]) -> Iterator[Connection]:
        with self._told(), self._engine.connect() as connection:
            try:
                with connection.execution_options(**options).begin():
                    yield connection
            except SQLAlchemyError:
                connection.invalidate()  # what state it is in, nobody knows
                raise

    @contextmanager
    def _told(self) -> Iterator[None]:
        """A database's errors as ours, without statements or values."""
        try:
            yield
        except DBAPIError as exc:
            reason = " ".join(str(exc.orig).split())
            if self._damaged(exc):
                raise ChainBroken("database", f"{self.name} is damaged: {reason}") from exc
            raise LogUnavailable(f"{self.name}: the audit log cannot be reached or written: {reason}") from exc
        except UnicodeError as exc:  # SQLite quotes what it stumbles over
            raise ChainBroken("database", f"{self.name} is damaged, and so is what it says about it") from exc
        except SQLAlchemyError as exc:
            raise LogUnavailable(f"{self.name}: the audit log cannot be reached or written: {exc}") from exc


def _grown(head: Head, after: Head | None) -> None:
    if after is None or (head.sequence, head.hash) == (after.sequence, after.hash) or head.sequence > after.sequence:
        return
    raise ChainBroken(
        "head",
        f"expected a chain grown from {after}, found {head}: the database was put back to an older state, or altered. "
        "Nothing more is recorded until the gateway is started again",
    )


def _missing(name: str, tables: Sequence[str]) -> Exception:
    if len(tables) == len(metadata.tables):
        return LogUnavailable(f"{name}: expected an audit log, found none there")
    return ChainBroken("database", f"expected the table {tables[0]}, found it removed")
