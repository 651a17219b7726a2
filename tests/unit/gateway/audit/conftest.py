"""Empty logs in SQLite. `tests/process/gateway/audit` runs the same tests on PostgreSQL."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.audit_databases import key, sqlite_url, store
from tests.support.audit_databases import sqlite_url as url

__all__ = ["key", "sqlite_url", "store", "tmp_path", "url"]


@pytest.fixture
def tmp_path() -> Iterator[Path]:
    """In memory: these tests commit thousands of times, and a disk takes milliseconds to flush each."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as folder:
        yield Path(folder)
