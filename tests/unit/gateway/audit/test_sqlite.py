"""What only a SQLite file does: who may read it, that it is removed, locked or damaged."""

from __future__ import annotations

import asyncio
import os
import random
import sqlite3
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from gateway.audit import AuditError, ChainBroken, LogUnavailable, open_store
from gateway.audit.commands import app
from gateway.audit.retention import prune
from gateway.audit.verification import verify
from tests.support.audit_databases import KEY
from tests.support.audit_entries import audit_log, entry, fill, raw

OLD = datetime(2020, 1, 1, tzinfo=UTC)
FLIPS = 300


def test_a_sqlite_file_that_is_removed_is_not_written_into_the_void(tmp_path: Path) -> None:
    file = tmp_path / "audit.sqlite3"
    store = open_store(f"sqlite:///{file}")

    async def run() -> None:
        log = audit_log(store)
        await log.start()
        await log.record(entry())
        file.rename(tmp_path / "elsewhere")
        for _ in range(2):
            with pytest.raises(LogUnavailable):
                await log.record(entry())
        assert not file.exists(), "nobody makes a new one"
        (tmp_path / "elsewhere").rename(file)
        await log.record(entry())
        await log.close()

    asyncio.run(run())
    assert verify(store).sequence >= 2
    store.close()


def test_a_new_sqlite_file_is_its_owners_alone(tmp_path: Path) -> None:
    file = tmp_path / "audit?#%41.sqlite3"
    store = open_store(f"sqlite:///{tmp_path}/audit%3F#%2541.sqlite3")
    before = os.umask(0)
    try:
        store.create()
    finally:
        os.umask(before)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    store.close()


def test_removed_lines_are_gone_from_sqlites_files(tmp_path: Path) -> None:
    store = open_store(f"sqlite:///{tmp_path / 'audit.sqlite3'}")
    fill(store, 50, time=OLD, outcome="to be forgotten")
    fill(store, 1)
    prune(store, OLD + timedelta(days=1))
    assert all(b"to be forgotten" not in file.read_bytes() for file in tmp_path.iterdir())
    verify(store)
    store.close()


@pytest.mark.parametrize("value", [None, b"bytes", 7, 1.5, "\udcff"], ids=ascii)
@pytest.mark.parametrize(("table", "field"), [(0, "line"), (0, "hash"), (0, "prediction_id"), (1, "line"), (1, "seal")])
def test_what_is_no_text_is_found_in_sqlite(tmp_path: Path, table: int, field: str, value: Any) -> None:
    file = tmp_path / "audit.sqlite3"
    store = open_store(f"sqlite:///{file}")
    fill(store, 3)
    with sqlite3.connect(file) as connection:
        name = ("audit_lines", "audit_head")[table]
        # SQLite turns numbers into text in such columns; blobs, NULL and broken text stay.
        connection.execute("PRAGMA ignore_check_constraints=1")
        connection.execute("PRAGMA writable_schema=1")
        connection.execute("UPDATE sqlite_master SET sql = replace(sql, 'NOT NULL', '')")
        connection.commit()
    connection.close()
    with sqlite3.connect(file) as connection:
        if isinstance(value, str):
            connection.execute(f"UPDATE {name} SET {field} = CAST(x'ff' AS TEXT)")
        else:
            connection.execute(f"UPDATE {name} SET {field} = ?", (value,))
    connection.close()
    with pytest.raises(ChainBroken):
        verify(store)
    store.close()


def test_bytes_of_the_sqlite_file(tmp_path: Path) -> None:
    """Any byte of the file itself: found, or nothing that is stored was changed by it.

    Where one byte in fifty could be altered unseen, 300 flips would miss it once in 400 runs.
    """
    file, damaged = tmp_path / "audit.sqlite3", tmp_path / "damaged.sqlite3"
    store = open_store(f"sqlite:///{file}", key=KEY)
    fill(store, 40)
    sound = raw(store)
    store.close()
    content, chance, found = file.read_bytes(), random.Random(3), 0
    other = open_store(f"sqlite:///{damaged}", key=KEY)
    for place in chance.sample(range(len(content)), FLIPS):
        changed = bytearray(content)
        changed[place] ^= 1 << chance.randrange(8)
        damaged.write_bytes(changed)
        try:
            verify(other)
            assert raw(other) == sound, place
            for row in sound[0][:: max(1, len(sound[0]) // 8)]:
                assert other.lines_of(row["prediction_id"]) == [row["line"]], place
        except AuditError:
            found += 1
        finally:
            other.close()
    assert found > FLIPS / 15


def test_a_file_that_another_keeps_locked_is_an_error(sqlite_url: str) -> None:
    impatient, other = open_store(sqlite_url, timeout_s=0.1), open_store(sqlite_url)
    impatient.create()
    with other.transaction(), pytest.raises(LogUnavailable, match="locked"):
        fill(impatient, 1)
    fill(other, 1)
    assert verify(other).sequence == 1
    impatient.close()
    other.close()


def test_a_file_that_may_not_be_written(tmp_path: Path) -> None:
    folder = tmp_path / "not there"
    for path in (folder / "audit.sqlite3", tmp_path):
        store = open_store(f"sqlite:///{path}")
        with pytest.raises(LogUnavailable):
            store.create()


def test_a_file_that_is_no_database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AUDIT_KEY", KEY.decode())
    file = tmp_path / "other"
    file.write_bytes(b"something else " * 1000)
    assert CliRunner().invoke(app, ["verify", "--url", f"sqlite:///{file}"]).exit_code == 1
    file.write_bytes(b"")
    assert CliRunner().invoke(app, ["verify", "--url", f"sqlite:///{file}"]).exit_code == 2
