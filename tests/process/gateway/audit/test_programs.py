"""`medserve audit …` as a program: what it writes, and how it ends."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from gateway.audit import Store
from tests.support.audit_databases import KEY
from tests.support.audit_entries import fill, put, raw
from tests.support.checkout import ROOT


@pytest.fixture
def key() -> bytes:
    return KEY


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv("AUDIT_URL", url)
    monkeypatch.setenv("AUDIT_KEY", KEY.decode())


def test_a_fault_far_from_the_end_is_one_sentence(store: Store, url: str) -> None:
    """As a program: what was read only in part ends without a word of its own."""
    fill(store, 3000)
    rows = raw(store)
    rows[0][2]["line"] = rows[0][2]["line"].replace("normal", "n0rmal")
    put(store, rows)
    command = [Path(sys.executable).parent / "medserve", "audit", "verify"]
    told = subprocess.run(command, env=os.environ, capture_output=True, text=True)
    assert told.returncode == 1
    (line,) = told.stderr.splitlines()
    assert line.startswith("medserve audit: NOT SOUND: line 3: ")


def test_a_reader_that_has_seen_enough(store: Store) -> None:
    fill(store, 2000)
    program = "from gateway.audit.commands import app; app()"
    command = f"{sys.executable} -c '{program}' export | head -n 1"
    told = subprocess.run(["bash", "-o", "pipefail", "-c", command], cwd=ROOT, env=os.environ, capture_output=True)
    assert (told.returncode, told.stderr) == (0, b"")
    assert json.loads(told.stdout)["kind"] == "answer"
