"""Killed writers, several writers, full disks: what was told to be on disk is, and the chain is whole."""

from __future__ import annotations

import asyncio
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gateway.audit import LogUnavailable, open_store, retention
from gateway.audit.verification import verify
from tests.support.audit_databases import KEY, Server
from tests.support.audit_entries import PATIENCE_S, audit_log, entry, fill, raw
from tests.support.checkout import ROOT


def _writer(url: str, count: int, prepare: Callable[[], None] | None = None) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.support.audit_writer", url, str(count), KEY.decode()]
    return subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, preexec_fn=prepare
    )


def test_a_killed_writer_leaves_a_sound_chain_with_every_line_that_it_told_of(url: str) -> None:
    store, told = open_store(url, key=KEY, timeout_s=PATIENCE_S), set[str]()
    for attempt in range(4):
        process = _writer(url, 1_000_000)
        assert process.stdout is not None
        for _ in range(random.Random(attempt).randrange(5, 60)):  # then it dies in the midst of another
            told.add(process.stdout.readline().strip())
        process.send_signal(signal.SIGKILL)
        rest, _ = process.communicate()
        told |= set(rest.split("\n")[:-1])
        verify(store)
    kept = {row["prediction_id"] for row in raw(store)[0]}
    assert told - {""} <= kept
    assert len(told) > 40
    fill(store, 3)
    assert verify(store).sequence == len(kept) + 3
    store.close()


def test_a_killed_removal_leaves_a_sound_chain(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The process dies inside the second portion, before its commit."""
    store = open_store(url, key=KEY, timeout_s=PATIENCE_S)
    fill(store, 30)
    child = os.fork()
    if child == 0:
        own, calls = open_store(url, key=KEY, timeout_s=PATIENCE_S), iter(range(9))
        monkeypatch.setattr(retention, "LINES_AT_ONCE", 10)
        extend = own.extend

        def extended(*arguments, **named):
            found = extend(*arguments, **named)
            if next(calls) == 1:
                os.kill(os.getpid(), signal.SIGKILL)
            return found

        own.extend = extended
        retention.prune(own, entry().time)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == signal.SIGKILL
    head = verify(store)
    assert (head.first, head.sequence) == (11, 31)
    store.close()


def test_several_processes_make_one_chain(url: str) -> None:
    """All begin at once, on a log that none of them has made yet."""
    writers = [_writer(url, 300) for _ in range(3)]
    told = [process.communicate() for process in writers]
    assert [process.returncode for process in writers] == [0, 0, 0], told
    store = open_store(url, key=KEY, timeout_s=PATIENCE_S)
    assert verify(store).sequence == 900
    assert {row["prediction_id"] for row in raw(store)[0]} == {line for out, _ in told for line in out.split()}
    store.close()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "small"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)], capture_output=True)
    if mounted.returncode:
        pytest.skip("needs to mount a small tmpfs: no right to here")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_is_an_error_and_passes(small_disk: Path) -> None:
    filler = small_disk / "filler"
    store = open_store(f"sqlite:///{small_disk / 'audit.sqlite3'}")

    async def run() -> tuple[int, int]:
        log, recorded, refused = audit_log(store), 0, 0
        await log.start()
        for number in range(20):
            await log.record(entry(number))
            recorded += 1
        filler.write_bytes(b"\0" * (shutil.disk_usage(small_disk).free // 4096 * 4096))
        for number in range(300):
            try:
                await log.record(entry(number))
                recorded += 1
            except LogUnavailable:
                refused += 1
        filler.unlink()
        for number in range(20):
            await log.record(entry(number))
            recorded += 1
        await log.close()
        return recorded, refused

    recorded, refused = asyncio.run(run())
    assert refused > 0
    assert verify(store).sequence == recorded
    store.close()


def test_a_file_that_may_not_grow_is_an_error(tmp_path: Path) -> None:
    """The same without a right to mount: the kernel refuses a file of more than 300 KB."""
    url = f"sqlite:///{tmp_path / 'audit.sqlite3'}"
    process = _writer(url, 100_000, lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000)))
    out, told = process.communicate()
    assert process.returncode == 1
    assert "LogUnavailable" in told
    store = open_store(url, key=KEY, timeout_s=PATIENCE_S)
    kept = {row["prediction_id"] for row in raw(store)[0]}
    assert set(out.split()) <= kept
    assert len(kept) > 20
    assert verify(store).sequence == len(kept)
    store.close()


def test_a_postgresql_that_is_out_of_reach(postgresql: Server) -> None:
    store = open_store(f"postgresql://medserve@/nowhere?host={postgresql.folder}")
    with pytest.raises(LogUnavailable, match="nowhere"):
        store.create()
    store.close()
