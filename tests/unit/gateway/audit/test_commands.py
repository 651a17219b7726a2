"""`medserve audit …`: what it prints, and the exit status."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from gateway.audit import Store, chain_key, open_store
from gateway.audit.commands import app
from gateway.audit.errors import AuditError
from gateway.audit.verification import verify
from tests.support.audit_databases import KEY
from tests.support.audit_entries import fill, put, raw

OLD = datetime(2020, 1, 1, 12, tzinfo=UTC)


@pytest.fixture
def key() -> bytes:
    return KEY


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv("AUDIT_URL", url)
    monkeypatch.setenv("AUDIT_KEY", KEY.decode())


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, arguments)


def test_verify_tells_the_head_and_takes_it_again(store: Store) -> None:
    fill(store, 5)
    told = run("verify")
    assert told.exit_code == 0, told.stderr
    assert "lines 1 to 5, 5 in all, hmac-sha256" in told.stdout
    head = told.stdout.split()[-1]
    assert head == str(verify(store))
    fill(store, 1)
    assert run("verify", "--expect-head", head).exit_code == 0


def test_verify_names_the_place(store: Store) -> None:
    fill(store, 5)
    rows = raw(store)
    rows[0][2]["line"] = rows[0][2]["line"].replace("normal", "n0rmal")
    put(store, rows)
    told = run("verify")
    assert told.exit_code == 1
    assert told.stderr.startswith("medserve audit: NOT SOUND: line 3: ")
    assert told.stdout == ""


def test_what_cannot_be_tried(store: Store, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for arguments in (
        ("verify", "--url", f"sqlite:///{tmp_path}/nothing.sqlite3"),
        ("verify", "--url", "mysql://x/y"),
        ("verify", "--url", "sqlite://"),
        ("verify", "--url", "no address"),
        ("verify", "--expect-head", "something"),
        ("export", "--to", str(tmp_path / "no" / "file")),
        ("prune",),
        ("prune", "--older-than-days", "-1"),
        ("export", "--since", "yesterday"),
    ):
        told = run(*arguments)
        assert (told.exit_code, told.stdout) == (2, ""), arguments
        assert told.stderr
    assert not (tmp_path / "nothing.sqlite3").exists()
    monkeypatch.delenv("AUDIT_KEY")
    assert run("verify").exit_code == 2, "it is sealed by a key"


def test_export_is_what_is_stored(store: Store, tmp_path: Path) -> None:
    fill(store, 3, time=OLD)
    fill(store, 4, model="another_model")
    rows = [row["line"] for row in raw(store)[0]]
    assert run("export").stdout.splitlines() == rows
    assert run("export", "--model", "another_model").stdout.splitlines() == rows[3:]
    assert run("export", "--since", "2020-01-01T12:00:00", "--until", "2021-01-01").stdout.splitlines() == rows[:3]
    assert run("export", "--until", "2020-01-01T12:00:00").stdout == ""
    assert json.loads(rows[0])["time"] == "2020-01-01T12:00:00Z"
    file = tmp_path / "lines.jsonl"
    assert run("export", "--to", str(file)).exit_code == 0
    assert file.read_text().splitlines() == rows
    assert run("export", "--to", str(file)).exit_code == 2, "an export is not overwritten"


def test_prune_and_verify(store: Store) -> None:
    fill(store, 3, time=OLD)
    fill(store, 2)
    told = run("prune", "--older-than-days", "30")
    assert told.exit_code == 0, told.stderr
    assert told.stdout.splitlines() == ["removed 3, kept lines 4 to 6", f"head {verify(store)}"]
    assert run("prune", "--older-than-days", "30").stdout.startswith("removed 0")
    assert "lines 4 to 6, 3 in all" in run("verify").stdout


def test_the_key_comes_from_the_environment_or_a_file(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_bytes(KEY + b"\n")
    assert chain_key({}) is chain_key({"AUDIT_KEY": ""}) is None
    assert chain_key({"AUDIT_KEY": KEY.decode()}) == chain_key({"AUDIT_KEY_FILE": str(file)}) == KEY
    (tmp_path / "empty").touch()
    for wrong in (
        {"AUDIT_KEY": "x", "AUDIT_KEY_FILE": str(file)},
        {"AUDIT_KEY_FILE": str(tmp_path / "none")},
        {"AUDIT_KEY_FILE": str(tmp_path / "empty")},
    ):
        with pytest.raises(AuditError, match="AUDIT_KEY"):
            chain_key(wrong)
    with pytest.raises(AuditError, match="16 bytes") as caught:
        open_store("sqlite:///x", key=b"Geheim")
    assert "Geheim" not in str(caught.value)
