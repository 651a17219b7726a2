"""Recording: durable, in a chain that anybody can compute again, and closed where it cannot be written."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import logging
import threading
from dataclasses import dataclass, field

import pytest

from gateway.audit import AuditError, AuditLog, ChainBroken, Entry, LogUnavailable, Store, open_store, retention
from gateway.audit.chain import Seal
from gateway.audit.store import Line
from gateway.audit.verification import verify
from tests.support.audit_databases import KEY
from tests.support.audit_entries import PATIENCE_S, audit_log, entry, fill, put, raw, record_all
from tests.support.clock import Clock


def test_what_is_recorded_is_found_and_verifies(store: Store) -> None:
    entries = fill(store, 30)

    async def find_all() -> None:
        log = audit_log(store)
        assert [await log.find(each.prediction_id) for each in entries] == entries
        assert await log.find("0" * 32) is None

    asyncio.run(find_all())
    head = verify(store)
    assert (head.first, head.sequence) == (1, 30)


def test_the_chain_is_what_the_docstring_says(store: Store, key: bytes | None) -> None:
    fill(store, 5)
    before = "0" * 64
    for row in raw(store)[0]:
        content = f"{before}{row['line']}".encode()
        before = hmac.new(key, content, "sha256").hexdigest() if key else hashlib.sha256(content).hexdigest()
        assert row["hash"] == before
    assert verify(store).hash == before


def test_find_means_the_answer_not_its_shadow_or_feedback(store: Store) -> None:
    answer = entry()
    beside = [entry(prediction_id=answer.prediction_id, kind=kind, outcome="x") for kind in ("shadow", "feedback")]
    asyncio.run(record_all(store, [beside[0], answer, beside[1]]))
    assert asyncio.run(AuditLog(store).find(answer.prediction_id)) == answer


def test_labelled_answers_are_found_with_what_was_last_said(store: Store) -> None:
    answers = [entry(number, outcome="feedback") for number in range(4)]
    others = [entry(kind=kind, outcome="x", model='"kind":"feedback"') for kind in ("refusal", "error", "shadow")]

    def said(of: int, label: str) -> Entry:
        return entry(prediction_id=answers[of].prediction_id, kind="feedback", outcome=label)

    told = [said(0, "a"), said(1, "b"), said(0, "c"), entry(kind="feedback", outcome="of an answer that was removed")]
    shadow = entry(prediction_id=answers[1].prediction_id, kind="shadow", outcome="y")
    asyncio.run(record_all(store, [*answers, *others, shadow, *told]))
    found = asyncio.run(AuditLog(store).labelled(10))
    assert found == [(answers[1], "b"), (answers[0], "c")]
    assert asyncio.run(AuditLog(store).labelled(1)) == found[1:]
    assert store.labelled(10, back=1) == []  # the newest line is of no answer that is there


def test_a_line_is_there_for_others_when_record_returns(store: Store, url: str, key: bytes | None) -> None:
    async def run() -> None:
        log = audit_log(store)
        await log.start()
        each = entry()
        await log.record(each)
        other = open_store(url, key=key)
        assert await AuditLog(other).find(each.prediction_id) == each
        other.close()
        await log.close()

    asyncio.run(run())


@dataclass
class Gate:
    """In the place of `sleep`: the writer passes when the test opens it."""

    opened: threading.Event = field(default_factory=threading.Event)
    asked: list[float] = field(default_factory=list)

    def __call__(self, seconds: float) -> None:
        self.asked.append(seconds)
        assert self.opened.wait(PATIENCE_S)


def test_lines_that_come_while_a_commit_is_not_due_are_committed_together(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    commits: list[int] = []
    append, gate = store.append, Gate()
    monkeypatch.setattr(
        store, "append", lambda lines, after=None: (commits.append(len(lines)), append(lines, after))[1]
    )

    async def run() -> None:
        log = audit_log(store, between_commits_s=0.02, clock=Clock(), sleep=gate)
        await log.start()
        await log.record(entry())
        waiting = [asyncio.create_task(log.record(entry(number))) for number in range(400)]
        await asyncio.sleep(0)  # each has put its line
        gate.opened.set()
        await asyncio.gather(*waiting)
        await log.close()

    asyncio.run(run())
    assert commits == [1, 400]
    assert gate.asked == [pytest.approx(0.02)]
    assert verify(store).sequence == 401


def test_a_line_after_a_rest_waits_for_nothing(store: Store) -> None:
    async def run() -> None:
        clock, gate = Clock(), Gate()
        log = audit_log(store, between_commits_s=5, clock=clock, sleep=gate)
        await log.start()
        await log.record(entry())
        clock.advance(5)
        await log.record(entry())
        await log.close()
        assert gate.asked == []

    asyncio.run(run())


def test_a_caller_that_goes_away_leaves_its_line(store: Store) -> None:
    async def run() -> None:
        gate = Gate()
        log = audit_log(store, between_commits_s=5, clock=Clock(), sleep=gate)
        await log.start()
        await log.record(entry())
        gone = entry()
        task = asyncio.create_task(log.record(gone))
        await asyncio.sleep(0)  # its line waits
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        gate.opened.set()
        await log.close()
        assert await log.find(gone.prediction_id) == gone

    asyncio.run(run())


def test_a_log_that_is_not_open_records_nothing(store: Store) -> None:
    async def run() -> None:
        log = audit_log(store)
        with pytest.raises(LogUnavailable):
            await log.record(entry())
        await log.start()
        with pytest.raises(AuditError, match="one start"):
            await log.start()
        await log.close()
        await log.close()
        with pytest.raises(LogUnavailable):
            await log.record(entry())

    asyncio.run(run())
    assert verify(store).sequence == 0


def test_a_writer_that_hangs_is_an_error_and_its_line_is_left_out(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    stuck, free, append = threading.Event(), threading.Event(), store.append

    def hanging(lines: list[Line], after: object = None) -> object:
        stuck.set()
        assert free.wait(PATIENCE_S)
        return append(lines, after)

    async def run() -> None:
        log = audit_log(store)
        await log.start()
        monkeypatch.setattr(store, "append", hanging)
        log._timeout_s = 0.2
        under_way = asyncio.create_task(log.record(entry()))
        assert await asyncio.to_thread(stuck.wait, PATIENCE_S)
        given_up = entry()
        with pytest.raises(LogUnavailable, match=r"within 0\.2 s"):
            await log.record(given_up)
        with pytest.raises(LogUnavailable):
            await under_way
        log._timeout_s = PATIENCE_S
        free.set()
        last = entry()
        await log.record(last)
        assert await log.find(given_up.prediction_id) is None
        assert await log.find(last.prediction_id) == last
        await log.close()

    asyncio.run(run())
    verify(store)


def test_an_error_that_nobody_thought_of_passes_and_is_told_once(
    store: Store, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def run() -> None:
        log = audit_log(store)
        await log.start()
        with monkeypatch.context() as patched:
            patched.setattr(store, "append", lambda *_, **__: 1 / 0)
            for _ in range(3):
                with pytest.raises(LogUnavailable, match="ZeroDivisionError"):
                    await log.record(entry())
        await log.record(entry())
        await log.close()

    asyncio.run(run())
    told = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert len(told) == 2, "the beginning of a series, and its end"
    assert "3 lines were not" in told[1]


def test_a_database_that_is_put_back_while_it_runs_is_noticed(store: Store) -> None:
    async def run() -> None:
        log = audit_log(store)
        await log.start()
        await log.record(entry())
        older = raw(store)
        await log.record(entry())
        put(store, older)
        for _ in range(2):
            with pytest.raises(ChainBroken, match="put back"):
                await log.record(entry())
        await log.close()

    asyncio.run(run())
    assert verify(store).sequence == 1


def test_the_head_is_told_in_the_gateways_own_log(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "gateway.audit")
    fill(store, 3)
    assert str(verify(store)) in caplog.messages[-1]


def test_another_key_or_none_does_not_open_it(url: str) -> None:
    made = open_store(url, key=KEY)
    made.create()
    made.close()
    for key, error in ((None, "AUDIT_KEY"), (b"another key of enough bytes", "another one")):
        other = open_store(url, key=key)
        with pytest.raises(AuditError, match=error):
            other.create()
        other.close()


def test_a_key_cannot_be_added_later(url: str) -> None:
    made, keyed = open_store(url), open_store(url, key=KEY)
    made.create()
    with pytest.raises(ChainBroken, match="begin another"):
        keyed.create()
    made.close()
    keyed.close()


@pytest.mark.parametrize("secret", [None, KEY])
def test_a_lines_hash_never_passes_for_a_heads_seal(secret: bytes | None) -> None:
    seal = Seal(secret)
    assert seal.of_line("", "{}") != seal.of_head("{}")


def test_reading_and_removing_while_others_write(store: Store) -> None:
    async def run() -> None:
        log = audit_log(store)
        await log.start()
        done, recorded = asyncio.Event(), 0

        async def write() -> None:
            nonlocal recorded
            while not done.is_set():
                await log.record(entry())
                recorded += 1

        writers = [asyncio.create_task(write()) for _ in range(5)]
        for _ in range(5):
            before = recorded
            while recorded < before + 10:
                await asyncio.sleep(0.001)
            await asyncio.to_thread(verify, store)
            assert await asyncio.to_thread(retention.prune, store, entry().time) > 0
        done.set()
        await asyncio.gather(*writers)
        await log.close()

    asyncio.run(run())
    assert verify(store).first > 1
