"""A server that is restarted, hangs, forgets, or whose roles may little."""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Callable, Iterator

import pytest

from gateway.audit import AuditError, LogUnavailable, Store, open_store
from gateway.audit.verification import verify
from tests.support.audit_databases import KEY, Server
from tests.support.audit_entries import PATIENCE_S, audit_log, entry, fill


@pytest.fixture
def store(postgresql: Server) -> Iterator[Store]:
    store = open_store(postgresql.database(), key=KEY, timeout_s=PATIENCE_S)
    store.create()
    yield store
    store.close()


async def reached(condition: Callable[[], object]) -> None:
    """Wait for what the tasks beside do."""
    async with asyncio.timeout(PATIENCE_S):
        while not condition():
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("mode", ["fast", "immediate"])
def test_a_restart_is_survived(postgresql: Server, store: Store, mode: str) -> None:
    async def run() -> None:
        log = audit_log(store)
        await log.start()
        before, after = entry(), entry()
        await log.record(before)
        await asyncio.to_thread(postgresql.stop, mode)
        try:
            with pytest.raises(LogUnavailable):
                await log.record(entry())
            with pytest.raises(LogUnavailable):
                await log.find(before.prediction_id)
        finally:
            await asyncio.to_thread(postgresql.start)
        await log.record(after)
        assert await log.find(before.prediction_id) == before
        assert await log.find(after.prediction_id) == after
        await log.close()

    asyncio.run(run())
    assert verify(store).sequence == 2


def test_a_restart_between_two_lines_is_not_even_noticed(postgresql: Server, store: Store) -> None:
    async def run() -> None:
        log = audit_log(store)
        await log.start()
        await log.record(entry())
        await asyncio.to_thread(postgresql.stop)
        await asyncio.to_thread(postgresql.start)
        await log.record(entry())
        await log.close()

    asyncio.run(run())
    assert verify(store).sequence == 2


def test_a_restart_under_load_loses_nothing_that_was_told(postgresql: Server, store: Store) -> None:
    told, refused = list[str](), list[str]()

    async def run() -> None:
        log, done = audit_log(store), asyncio.Event()
        await log.start()

        async def write() -> None:
            while not done.is_set():
                each = entry()
                try:
                    await log.record(each)
                    told.append(each.prediction_id)
                except AuditError:
                    refused.append(each.prediction_id)
                    await asyncio.sleep(0.02)

        writers = [asyncio.create_task(write()) for _ in range(10)]
        await reached(lambda: len(told) > 20)
        await asyncio.to_thread(postgresql.stop, "immediate")
        await reached(lambda: refused)
        await asyncio.to_thread(postgresql.start)
        before = len(told)
        await reached(lambda: len(told) > before + 20)
        done.set()
        await asyncio.gather(*writers)
        await log.close()

    asyncio.run(run())
    head = verify(store)
    assert refused
    assert len(told) <= head.sequence <= len(told) + len(refused)
    assert all(store.lines_of(each) for each in told[::10])


def test_a_server_that_hangs_is_an_error_while_it_hangs(postgresql: Server, store: Store) -> None:
    async def run() -> None:
        log = audit_log(store)
        await log.start()
        await log.record(entry())
        log._timeout_s = 1.0
        postgresql.signal(signal.SIGSTOP)
        try:
            with pytest.raises(LogUnavailable):
                await log.record(entry())
        finally:
            postgresql.signal(signal.SIGCONT)
            log._timeout_s = PATIENCE_S
            await log.close()

    asyncio.run(run())
    verify(store)


def test_a_head_that_another_holds_is_an_error(postgresql: Server) -> None:
    url = postgresql.database()
    store, other = open_store(url, key=KEY, timeout_s=1.0), open_store(url, key=KEY)
    other.create()
    with other.transaction() as connection:
        other.head(connection, lock=True)
        with pytest.raises(LogUnavailable, match="timeout"):
            fill(store, 1)
    fill(other, 1)
    assert verify(other).sequence == 1
    store.close()
    other.close()


def test_commits_are_flushed_whatever_the_server_is_set_to(postgresql: Server) -> None:
    url = postgresql.database()
    for setting, expected in (("off", "on"), ("local", "local"), ("remote_apply", "remote_apply")):
        admin = open_store(url)
        with admin.transaction() as connection:
            connection.exec_driver_sql(f"ALTER ROLE medserve SET synchronous_commit = '{setting}'")
        admin.close()
        store = open_store(url)
        with store.transaction() as connection:
            assert connection.exec_driver_sql("SHOW synchronous_commit").scalar() == expected
            connection.exec_driver_sql("ALTER ROLE medserve RESET synchronous_commit")
        store.close()


def test_a_gateways_role_need_not_change_lines(postgresql: Server) -> None:
    url = postgresql.database()
    owner = open_store(url, key=KEY)
    owner.create()
    with owner.transaction() as connection:
        connection.exec_driver_sql("CREATE ROLE gateway LOGIN")
        connection.exec_driver_sql("GRANT SELECT, INSERT ON audit_lines TO gateway")
        connection.exec_driver_sql("GRANT SELECT, UPDATE ON audit_head TO gateway")
    gateway = open_store(url.replace("medserve@", "gateway@"), key=KEY)
    fill(gateway, 3)
    assert verify(gateway).sequence == 3
    with pytest.raises(LogUnavailable, match="permission denied"), gateway.transaction() as connection:
        connection.exec_driver_sql("DELETE FROM audit_lines")
    with owner.transaction() as connection:
        connection.exec_driver_sql("DROP OWNED BY gateway")
        connection.exec_driver_sql("DROP ROLE gateway")
    gateway.close()
    owner.close()


def test_errors_tell_no_password() -> None:
    store = open_store("postgresql://medserve:Geheim1@127.0.0.1:9/audit?password=Geheim2", timeout_s=1.0)
    with pytest.raises(LogUnavailable) as caught:
        store.create()
    assert "127.0.0.1/audit" in str(caught.value)
    assert "Geheim" not in str(caught.value)
    store.close()


def test_a_server_that_hangs_does_not_keep_the_gateway_from_ending(postgresql: Server, store: Store) -> None:
    async def run() -> None:
        log = audit_log(store)
        await log.start()
        await log.record(entry())
        log._timeout_s = 0.5
        postgresql.signal(signal.SIGSTOP)
        try:
            for asked in (log.record(entry()), log.find("0" * 32)):
                with pytest.raises(LogUnavailable):
                    await asked
            await log.close()  # while the server hangs
        finally:
            postgresql.signal(signal.SIGCONT)

    writers = {thread for thread in threading.enumerate() if thread.name == "audit"}
    asyncio.run(run())
    for thread in {thread for thread in threading.enumerate() if thread.name == "audit"} - writers:
        thread.join(PATIENCE_S)  # its last transaction
    verify(store)
