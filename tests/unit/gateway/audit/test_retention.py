"""Removal by age: what remains verifies, and tells what went."""

from __future__ import annotations

import copy
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from gateway.audit import AuditError, ChainBroken, Store, lines, retention
from gateway.audit.export import Wanted, export_lines
from gateway.audit.retention import prune
from gateway.audit.verification import verify
from tests.support.audit_entries import fill, put, raw

OLD = datetime(2020, 1, 1, tzinfo=UTC)
BORDER = datetime(2023, 1, 1, tzinfo=UTC)


def test_old_lines_go_and_the_rest_verifies(store: Store) -> None:
    old = fill(store, 7, time=OLD)
    noted = [str(verify(store))]
    young = fill(store, 5)
    noted.append(str(verify(store)))
    assert prune(store, BORDER) == 7
    head = verify(store)
    assert (head.first, head.sequence) == (8, 13)
    assert verify(store, noted[0]) == verify(store, noted[1]) == head, "heads from before are still in the chain"
    assert store.lines_of(old[0].prediction_id) == []
    assert [lines.entry(text, "") for text in list(export_lines(store, Wanted()))[:-1]] == young
    told = lines.checkpoint(raw(store)[0][-1]["line"], "")
    assert (told.removed, told.removed_through, told.removed_hash) == (7, 7, head.before)
    fill(store, 3)
    assert verify(store).sequence == 16


def test_again_and_again_until_nothing_is_left_but_what_tells_of_it(store: Store) -> None:
    fill(store, 4, time=OLD)
    early = str(verify(store))
    assert prune(store, BORDER) == 4
    assert prune(store, BORDER) == 0, "a retention line is young"
    fill(store, 2)
    assert prune(store, datetime.now(UTC)) == 3
    head = verify(store)
    assert (head.first, head.sequence) == (8, 8)
    with pytest.raises(AuditError, match="removed by age") as caught:
        verify(store, early)
    assert not isinstance(caught.value, ChainBroken), "it cannot be told"


def test_a_young_line_keeps_those_after_it(store: Store) -> None:
    fill(store, 2, time=OLD)
    fill(store, 1)
    fill(store, 2, time=OLD)
    assert prune(store, BORDER) == 2
    assert verify(store).first == 3


def test_in_portions(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "LINES_AT_ONCE", 10)
    fill(store, 35, time=OLD)
    fill(store, 1)
    assert prune(store, BORDER) == 35
    assert verify(store).sequence == 40, "a retention line for each portion"


def test_altered_lines_are_not_swept_away(store: Store) -> None:
    fill(store, 5, time=OLD)
    fill(store, 1)
    rows = raw(store)
    rows[0][3]["line"] = rows[0][3]["line"].replace("normal", "other")
    put(store, rows)
    with pytest.raises(ChainBroken, match="line 4"):
        prune(store, BORDER)
    assert raw(store) == rows


def test_a_pruned_log_is_tampered_with(store: Store) -> None:
    fill(store, 5, time=OLD)
    fill(store, 5)
    prune(store, BORDER)
    sound = raw(store)
    for place in (0, 2, -1):  # the first line, one between, the retention line
        rows = copy.deepcopy(sound)
        del rows[0][place]
        put(store, rows)
        with pytest.raises(ChainBroken):
            verify(store)
    put(store, sound)
    verify(store)


def test_a_beginning_cut_off_without_a_retention_line_is_found(store: Store) -> None:
    """Even where the head is sealed rightly, as by somebody who has the key."""
    fill(store, 5)
    second = raw(store)[0][1]
    with store.transaction() as connection:
        head = store.head(connection)
        connection.exec_driver_sql("DELETE FROM audit_lines WHERE sequence < 3")
        store.extend(connection, replace(head, first=3, before=second["hash"]), [])
    with pytest.raises(ChainBroken, match="retention line"):
        verify(store)


def test_a_wrong_clock_does_not_break_anything(store: Store) -> None:
    fill(store, 2, time=datetime(9999, 12, 31, tzinfo=UTC))
    assert prune(store, datetime.now(UTC)) == 0
    verify(store)
