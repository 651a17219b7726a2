"""How much: exactly, under 50 clients at once."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Sequence

import httpx
import pytest

from gateway.access import AccessSettings, Caller
from gateway.access.limits import Limits
from tests.support.access_app import OTHER, SECRET, Door, door, key
from tests.support.clock import Clock, run

CLIENTS = 50


def limits(clock: Clock | None = None, *, most: int = 10, max_bytes: int = 100) -> Limits:
    return Limits(most_at_once=most, max_bytes=max_bytes, clock=clock or Clock())


def asked(of: Limits, caller: Caller) -> str:
    """Come in and go at once; the code of the refusal, or ""."""
    refusal = of.enter(caller, counted=True)
    if refusal is None:
        of.leave(caller, counted=True, held_bytes=0)
        return ""
    return refusal.code


def test_a_bucket_lets_its_burst_through_and_then_its_rate() -> None:
    clock = Clock()
    of, caller = limits(clock), Caller(id="x", rate_per_s=2, burst=5)
    assert [asked(of, caller) for _ in range(7)] == [""] * 5 + ["rate_limited"] * 2
    refusal = of.enter(caller, counted=True)
    assert refusal.retry_s == pytest.approx(0.5)
    clock.advance(refusal.retry_s)  # exactly when it said
    assert [asked(of, caller) for _ in range(2)] == ["", "rate_limited"]
    clock.advance(1000)  # no more than the burst is saved up
    assert [asked(of, caller) for _ in range(7)] == [""] * 5 + ["rate_limited"] * 2


@pytest.mark.parametrize("rate", [0.1, 1 / 3, 7.0, 999.9])
def test_a_bucket_holds_over_a_long_time(rate: float) -> None:
    """Whenever it is asked: never more than burst + rate * time, and never less than what was asked for."""
    clock, chance = Clock(), random.Random(1)
    began = clock.now
    of, caller, let = limits(clock), Caller(id="x", rate_per_s=rate, burst=3), 0
    for _ in range(5000):
        clock.advance(chance.expovariate(2 * rate))
        let += not asked(of, caller)
        assert let <= 3 + rate * (clock.now - began) + 1e-6
    assert let >= 0.8 * rate * (clock.now - began)


def test_what_counts_as_many_is_paid_for_by_the_next() -> None:
    clock = Clock()
    of, caller = limits(clock), Caller(id="x", rate_per_s=2, burst=5)
    assert asked(of, caller) == ""
    of.charge(caller, 63)
    refusal = of.enter(caller, counted=True)
    assert refusal.retry_s == pytest.approx((64 + 1 - 5) / 2)
    clock.advance(refusal.retry_s)
    assert [asked(of, caller) for _ in range(2)] == ["", "rate_limited"]
    assert of.charge(Caller(id="free"), 63) is None  # without a rate there is nothing to pay


def test_many_that_come_side_by_side_overdraw_once() -> None:
    """All were let in before the first said how many it is; those that are refused use up nothing."""
    clock = Clock()
    of, caller = limits(clock), Caller(id="x", rate_per_s=2, burst=5)
    assert [asked(of, caller) for _ in range(6)] == [""] * 5 + ["rate_limited"]
    refusals = [of.charge(caller, 63) for _ in range(5)]
    assert refusals[0] is None
    assert [(one.code, one.retry_s) for one in refusals[1:]] == [
        ("rate_limited", pytest.approx((63 - at) / 2)) for at in range(4)
    ]
    assert of.enter(caller, counted=True).retry_s == pytest.approx((64 + 1 - 5) / 2)  # as if they had never come


def test_callers_do_not_share() -> None:
    of = limits()
    one, other = (Caller(id=name, rate_per_s=1, burst=1) for name in "ab")
    assert [asked(of, one), asked(of, other), asked(of, one)] == ["", "", "rate_limited"]


def test_who_has_left_is_forgotten_and_who_has_spent_is_not() -> None:
    clock = Clock()
    of, spent = limits(clock), Caller(id="spent", rate_per_s=1e-3, burst=1)
    assert asked(of, spent) == ""
    for number in range(5000):
        asked(of, Caller(id=str(number), rate_per_s=1000, burst=1))
        clock.advance(0.01)
    assert len(of._uses) < 2100
    assert asked(of, spent) == "rate_limited"


def test_bytes_are_given_back() -> None:
    of, caller = limits(max_bytes=10), Caller(id="x")
    assert of.enter(caller, counted=False) is None
    assert [of.hold(6), of.hold(5), of.hold(4), of.hold(1)] == [True, False, True, False]
    of.leave(caller, counted=False, held_bytes=10)
    assert of.hold(10)


def flood(
    behind: Door, clock: Clock, path: str, each: int = 4, secrets: Sequence[str] = (SECRET,)
) -> list[httpx.Response]:
    """50 clients of each key, all at once and several times."""

    async def client(secret: str) -> list[httpx.Response]:
        transport = httpx.ASGITransport(behind.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://x", headers={"X-API-Key": secret}) as asking:
            return [await asking.post(path) for _ in range(each)]

    async def all_of_them() -> list[httpx.Response]:
        found = await asyncio.gather(*(client(secret) for secret in secrets for _ in range(CLIENTS)))
        return [one for of_client in found for one in of_client]

    return run(all_of_them(), clock)


def test_a_rate_holds_under_50_clients() -> None:
    clock = Clock()
    behind = door(AccessSettings(keys=(key(rate_per_s=2, burst=37),)), clock)
    answers = flood(behind, clock, "/predict/m")
    assert Counter(one.status_code for one in answers) == {200: 37, 429: CLIENTS * 4 - 37}
    refused = next(one for one in answers if one.status_code == 429)
    assert (refused.json()["code"], refused.headers["retry-after"]) == ("rate_limited", "1")
    assert behind.metric("medserve_gateway_refused_total", reason="rate_limited") == CLIENTS * 4 - 37
    clock.advance(5)
    assert Counter(one.status_code for one in flood(behind, clock, "/predict/m"))[200] == 10


def test_concurrency_holds_under_50_clients() -> None:
    clock = Clock()
    behind = door(AccessSettings(keys=(key(concurrency=7), key(OTHER, id="other", concurrency=2))), clock)
    answers = flood(behind, clock, "/wait", secrets=(SECRET, OTHER))
    assert behind.inner.state.most == 9  # reached, and never more
    assert {one.status_code for one in answers} == {200, 429}
    refused = next(one for one in answers if one.status_code == 429)
    assert (refused.json()["code"], refused.headers["retry-after"]) == ("too_many_at_once", "1")
    # Every place was given back.
    assert Counter(one.status_code for one in flood(behind, clock, "/wait", each=1)) == {200: 7, 429: CLIENTS - 7}


def test_the_whole_gateway_has_a_bound_and_probes_come_through() -> None:
    clock = Clock()
    behind = door(AccessSettings(keys=(key(),), most_at_once=5), clock)

    async def flooded() -> list[httpx.Response]:
        transport = httpx.ASGITransport(behind.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://x", headers={"X-API-Key": SECRET}) as asking:
            waiting = [asyncio.create_task(asking.post("/wait")) for _ in range(CLIENTS)]
            await asyncio.sleep(0.1)  # half of what a request waits
            assert (await asking.get("/model-info")).status_code == 200
            return await asyncio.gather(*waiting)

    answers = run(flooded(), clock)
    assert behind.inner.state.most == 5
    assert Counter(one.status_code for one in answers) == {200: 5, 503: CLIENTS - 5}
    refused = next(one for one in answers if one.status_code == 503)
    assert (refused.json()["code"], refused.headers["retry-after"]) == ("overloaded", "1")


def test_wrong_keys_use_up_nothing_of_the_right_ones() -> None:
    clock = Clock()
    behind = door(AccessSettings(keys=(key(rate_per_s=0.001, burst=2),)), clock)
    assert {one.status_code for one in flood(behind, clock, "/predict/m", each=1, secrets=("wrong",))} == {401}
    assert flood(behind, clock, "/predict/m", each=1)[0].status_code == 200
