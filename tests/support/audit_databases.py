"""A real PostgreSQL of the tests' own, and empty logs in both kinds of database."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest

from gateway.audit import Store, open_store
from tests.support.audit_entries import PATIENCE_S

KEY = b"a secret of more than sixteen bytes"
_PROGRAMS = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))


@dataclass(frozen=True)
class Server:
    """PostgreSQL on a socket in its own folder."""

    folder: Path
    user: tuple[str, ...]

    def run(self, program: str, *arguments: str) -> str:
        """One of its programs, as the user whose server it is."""
        command = [*self.user, str(_PROGRAMS[-1].parent / program), *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True, cwd=self.folder, timeout=120).stdout

    def start(self) -> None:
        options = f"-c listen_addresses='' -c fsync=off -k {self.folder}"  # no test cuts the power
        self.run(
            "pg_ctl", "-D", str(self.folder / "data"), "-l", str(self.folder / "log"), "-o", options, "-w", "start"
        )

    def stop(self, mode: str = "fast") -> None:
        self.run("pg_ctl", "-D", str(self.folder / "data"), "-m", mode, "-w", "stop")

    def signal(self, number: signal.Signals) -> None:
        """To all of its processes."""
        leader = int((self.folder / "data" / "postmaster.pid").read_text().splitlines()[0])
        for child in Path(f"/proc/{leader}/task/{leader}/children").read_text().split():
            os.kill(int(child), number)
        os.kill(leader, number)

    def database(self) -> str:
        """URL of a new, empty one."""
        name = f"audit_{uuid.uuid4().hex[:12]}"
        self.run("createdb", "-h", str(self.folder), "-U", "medserve", name)
        return f"postgresql://medserve@/{name}?host={self.folder}"


@pytest.fixture(scope="session")
def postgresql() -> Iterator[Server]:
    if not _PROGRAMS:
        pytest.skip("needs PostgreSQL's server programs; none below /usr/lib/postgresql (Debian: postgresql)")
    user: tuple[str, ...] = ()
    if os.geteuid() == 0:  # initdb refuses to run as root
        user = ("runuser", "-u", "nobody", "--")
        if shutil.which("runuser") is None:
            pytest.skip("needs runuser: PostgreSQL does not run as root")
    # A short path: a socket's may have 107 bytes.
    folder = Path(tempfile.mkdtemp(prefix="medserve-pg-"))
    if user:
        shutil.chown(folder, "nobody")
    server = Server(folder, user)
    server.run("initdb", "-D", str(folder / "data"), "-A", "trust", "-U", "medserve", "-E", "UTF8", "--locale=C", "-N")
    server.start()
    yield server
    server.stop("immediate")
    shutil.rmtree(folder)


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    """Of a file that is not there yet."""
    return f"sqlite:///{tmp_path / 'audit.sqlite3'}"


@pytest.fixture(scope="session")
def _database(postgresql: Server) -> str:
    return postgresql.database()


@pytest.fixture
def postgresql_url(postgresql: Server, _database: str) -> str:
    """Of an empty database: the same one for all tests, for a new one is three hundred files to write and remove."""
    with psycopg.connect(_database, autocommit=True) as connection:
        connection.execute("DROP TABLE IF EXISTS audit_lines, audit_head")
    return _database


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest) -> str:
    """Of an empty database of either kind."""
    found: str = request.getfixturevalue(f"{request.param}_url")
    return found


@pytest.fixture(params=[None, KEY], ids=["sha256", "hmac"])
def key(request: pytest.FixtureRequest) -> bytes | None:
    found: bytes | None = request.param
    return found


@pytest.fixture
def store(url: str, key: bytes | None) -> Iterator[Store]:
    """An empty log."""
    store = open_store(url, key=key, timeout_s=PATIENCE_S)
    store.create()
    yield store
    store.close()
