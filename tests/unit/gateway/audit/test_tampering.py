"""Whatever is changed in what is stored is found: every byte, every line, every order, the end too."""

from __future__ import annotations

import copy
import random
from collections.abc import Callable
from dataclasses import replace

import pytest

from gateway.audit import AuditError, ChainBroken, Store, lines, open_store
from gateway.audit.chain import ZERO, Head, Seal
from gateway.audit.store import Line
from gateway.audit.verification import verify
from tests.support.audit_databases import KEY
from tests.support.audit_entries import Rows, entry, fill, put, raw

PRINTABLE = "".join(map(chr, range(0x20, 0x7F)))


def _changed(text: str, place: int, chance: random.Random) -> str:
    return text[:place] + chance.choice(PRINTABLE.replace(text[place], "")) + text[place + 1 :]


def _finds(store: Store, rows: Rows) -> bool:
    put(store, rows)
    try:
        verify(store)
    except ChainBroken as exc:
        return bool(exc.place)
    except AuditError as exc:
        return "AUDIT_KEY" in str(exc)  # the head names another method: it cannot be tried
    return False


@pytest.mark.parametrize("key", [KEY], ids=["hmac"])  # one of the two seals: `checked` treats them alike
def test_every_byte_of_a_line_its_hash_its_id_and_the_head(store: Store) -> None:
    fill(store, 3)
    sound, chance = raw(store), random.Random(8)
    verify(store)
    fields = [(0, 1, "line"), (0, 1, "hash"), (0, 1, "prediction_id"), (0, 2, "hash"), (1, 0, "line"), (1, 0, "seal")]
    for table, row, field in fields:
        for place in range(len(sound[table][row][field])):
            rows = copy.deepcopy(sound)
            rows[table][row][field] = _changed(rows[table][row][field], place, chance)
            assert _finds(store, rows), (table, field, place, rows[table][row][field])
    put(store, sound)
    verify(store)


def _byte(rows: Rows, chance: random.Random) -> None:
    row = chance.choice(rows[0])
    field = chance.choice(("line", "hash", "prediction_id"))
    row[field] = _changed(row[field], chance.randrange(len(row[field])), chance)


def _added(rows: Rows, chance: random.Random) -> None:
    row = chance.choice(rows[0])
    field = chance.choice(("line", "hash", "prediction_id"))
    place = chance.randrange(len(row[field]) + 1)
    row[field] = row[field][:place] + chance.choice(PRINTABLE + "\n\té") + row[field][place:]


def _dropped(rows: Rows, chance: random.Random) -> None:
    row = chance.choice(rows[0])
    field = chance.choice(("line", "hash", "prediction_id"))
    place = chance.randrange(len(row[field]))
    row[field] = row[field][:place] + row[field][place + 1 :]


def _number(rows: Rows, chance: random.Random) -> None:
    chance.choice(rows[0])["sequence"] = chance.choice((0, -1, 10**6, len(rows[0]) + 1))


def _renumber(rows: Rows) -> None:
    for sequence, row in enumerate(rows[0], 1):
        row["sequence"] = sequence


def _deleted(rows: Rows, chance: random.Random) -> None:
    del rows[0][chance.randrange(len(rows[0]))]
    if chance.random() < 0.5:
        _renumber(rows)


def _cut(rows: Rows, chance: random.Random) -> None:
    del rows[0][chance.randrange(len(rows[0])) :]


def _beheaded(rows: Rows, chance: random.Random) -> None:
    del rows[0][: chance.randrange(1, len(rows[0]) + 1)]


def _inserted(rows: Rows, chance: random.Random) -> None:
    place = chance.randrange(len(rows[0]) + 1)
    other = chance.choice(rows[0])
    forged = entry(outcome="pneumonia")
    new = {**other, "line": lines.canonical(forged), "prediction_id": forged.prediction_id}
    rows[0].insert(place, new)
    _renumber(rows)


def _doubled(rows: Rows, chance: random.Random) -> None:
    place = chance.randrange(len(rows[0]))
    rows[0].insert(place, dict(rows[0][place]))
    _renumber(rows)


def _swapped(rows: Rows, chance: random.Random) -> None:
    one, other = chance.sample(rows[0], 2)
    for field in ("line", "hash", "prediction_id") if chance.random() < 0.5 else ("line", "prediction_id"):
        one[field], other[field] = other[field], one[field]


def _reordered(rows: Rows, chance: random.Random) -> None:
    before = list(rows[0])
    while rows[0] == before:
        chance.shuffle(rows[0])
    _renumber(rows)


def _no_head(rows: Rows, chance: random.Random) -> None:
    rows[1].clear()


def _two_heads(rows: Rows, chance: random.Random) -> None:
    rows[1].append({**rows[1][0], "id": 2})


def _head_moved(rows: Rows, chance: random.Random) -> None:
    rows[1][0]["id"] = 2


ATTACKS = (_byte, _added, _dropped, _number, _deleted, _cut, _beheaded, _inserted, _doubled, _swapped, _reordered,
           _no_head, _two_heads, _head_moved)  # fmt: skip


@pytest.mark.parametrize("attack", ATTACKS)
def test_random_changes(store: Store, attack: Callable[[Rows, random.Random], None]) -> None:
    fill(store, 20)
    sound = raw(store)
    for seed in range(1 if attack.__name__.startswith(("_no", "_two", "_head")) else 25):
        rows = copy.deepcopy(sound)
        attack(rows, random.Random(seed))
        if rows == sound:
            continue  # numbered as it was
        assert _finds(store, rows), seed


@pytest.fixture
def forged(store: Store, key: bytes | None) -> tuple[Store, str, Rows]:
    """A log, its head as an operator noted it, and its rows."""
    fill(store, 10)
    noted = str(verify(store))
    return store, noted, raw(store)


def _again(store: Store, rows: Rows) -> None:
    """What somebody who can write to the database, and does not have the key, makes of altered lines."""
    unkeyed, before = Seal(None), ZERO
    for row in rows[0]:
        before = row["hash"] = unkeyed.of_line(before, row["line"])
    head = Head(first=1, before=ZERO, sequence=len(rows[0]), hash=before, method=store.seal.method)
    text = lines.canonical(head)
    rows[1][0].update(line=text, seal=unkeyed.of_head(text))
    put(store, rows)


def test_a_recomputed_chain_needs_a_key_or_a_noted_head_to_be_found(
    forged: tuple[Store, str, Rows], key: bytes | None
) -> None:
    store, noted, rows = forged
    altered = copy.deepcopy(rows)
    altered[0][4]["line"] = altered[0][4]["line"].replace("normal", "pneumonia")
    _again(store, altered)
    if key is None:
        verify(store)  # as the docstring of `chain` says
        with pytest.raises(ChainBroken, match="noted head"):
            verify(store, noted)
    else:
        with pytest.raises(ChainBroken):
            verify(store)


def test_a_recomputed_end_needs_a_key_or_a_noted_head_to_be_found(
    forged: tuple[Store, str, Rows], key: bytes | None
) -> None:
    store, noted, rows = forged
    _again(store, (rows[0][:7], rows[1]))
    with pytest.raises(ChainBroken):
        verify(store, noted if key is None else None)


def test_a_chain_sealed_anew_without_the_key_is_found(url: str) -> None:
    keyed, unkeyed = open_store(url, key=KEY), open_store(url)
    fill(keyed, 5)
    rows = raw(keyed)
    _again(unkeyed, rows)
    verify(unkeyed)
    with pytest.raises(ChainBroken, match="without the key"):
        verify(keyed)
    keyed.close()
    unkeyed.close()


def test_an_older_copy_put_back_is_found_by_a_noted_head(store: Store) -> None:
    fill(store, 5)
    older = raw(store)
    fill(store, 5)
    noted = verify(store)
    put(store, older)
    verify(store)
    for text in (str(noted), noted.hash):
        with pytest.raises(ChainBroken, match="noted head"):
            verify(store, text)


def test_a_head_noted_earlier_is_in_a_chain_that_grew(store: Store) -> None:
    fill(store, 5)
    earlier = verify(store)
    fill(store, 5)
    for text in (str(earlier), earlier.hash, f"  {earlier}\n", f"0:{ZERO}"):
        assert verify(store, text).sequence == 10
    with pytest.raises(ChainBroken):
        verify(store, f"{earlier.sequence + 1}:{earlier.hash}")
    for text in ("", "5", "x" * 64, f"-1:{earlier.hash}", f"1:2:{earlier.hash}"):
        with pytest.raises(AuditError, match="NUMBER:HASH"):
            verify(store, text)


def test_a_line_of_another_event_is_no_audit_line(store: Store) -> None:
    """Even where its hash is right."""
    store.append([Line("", '{"kind":7}')])
    with pytest.raises(ChainBroken, match="line 1: expected a line of this log"):
        verify(store)


def test_a_table_that_is_gone(store: Store) -> None:
    fill(store, 2)
    with store.transaction() as connection:
        connection.exec_driver_sql("DROP TABLE audit_lines")
    for used in (verify, Store.create):
        with pytest.raises(ChainBroken, match="removed"):
            used(store)


def test_a_head_that_claims_lines_it_never_had(store: Store) -> None:
    fill(store, 3)
    with store.transaction() as connection:
        head = store.head(connection)
        store.extend(connection, replace(head, first=3), [])
    with pytest.raises(ChainBroken, match="line 3"):
        verify(store)
