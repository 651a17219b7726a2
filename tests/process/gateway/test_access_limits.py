"""How much: exactly, under 50 clients at once on a real server."""

from __future__ import annotations

import asyncio
import random
from collections import Counter

import httpx
import pytest

from gateway.access import AccessSettings, Caller
from gateway.access.limits import Limits
from tests.support.access_app import OTHER, SECRET, door, key, serving

CLIENTS = 50


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


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
    clock.now += refusal.retry_s  # exactly when it said
    assert [asked(of, caller) for _ in range(2)] == ["", "rate_limited"]
    clock.now += 1000  # no more than the burst is saved up
    assert [asked(of, caller) for _ in range(7)] == [""] * 5 + ["rate_limited"] * 2


@pytest.mark.parametrize("rate", [0.1, 1 / 3, 7.0, 999.9])
def test_a_bucket_holds_over_a_long_time(rate: float) -> None:
    """Whenever it is asked: never more than burst + rate * time, and never less than what was asked for."""
    clock, chance = Clock(), random.Random(1)
    of, caller, let = limits(clock), Caller(id="x", rate_per_s=rate, burst=3), 0
    for _ in range(5000):
        clock.now += chance.expovariate(2 * rate)
        let += not asked(of, caller)
        assert let <= 3 + rate * (clock.now - 100) + 1e-6
    assert let >= 0.8 * rate * (clock.now - 100)


def test_what_counts_as_many_is_paid_for_by_the_next() -> None:
    clock = Clock()
    of, caller = limits(clock), Caller(id="x", rate_per_s=2, burst=5)
    assert asked(of, caller) == ""
    of.charge(caller, 63)
    refusal = of.enter(caller, counted=True)
    assert refusal.retry_s == pytest.approx((64 + 1 - 5) / 2)
    clock.now += refusal.retry_s
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
        clock.now += 0.01
    assert len(of._uses) < 2100
    assert asked(of, spent) == "rate_limited"


def test_bytes_are_given_back() -> None:
    of, caller = limits(max_bytes=10), Caller(id="x")
    assert of.enter(caller, counted=False) is None
    assert [of.hold(6), of.hold(5), of.hold(4), of.hold(1)] == [True, False, True, False]
    of.leave(caller, counted=False, held_bytes=10)
    assert of.hold(10)


async def flood(url: str, path: str, each: int = 4, secret: str = SECRET) -> list[httpx.Response]:
    """50 clients, each with its own connection, all at once and several times."""
    many = httpx.Limits(max_connections=CLIENTS, max_keepalive_connections=CLIENTS)
    async with httpx.AsyncClient(timeout=60, headers={"X-API-Key": secret}, limits=many) as asking:

        async def client() -> list[httpx.Response]:
            return [await asking.post(url + path) for _ in range(each)]

        return [one for found in await asyncio.gather(*(client() for _ in range(CLIENTS))) for one in found]


def test_a_rate_holds_under_50_clients() -> None:
    behind = door(AccessSettings(keys=(key(rate_per_s=0.001, burst=37),)))
    with serving(behind.app) as url:
        answers = asyncio.run(flood(url, "/predict/m"))
    assert Counter(one.status_code for one in answers) == {200: 37, 429: CLIENTS * 4 - 37}
    refused = next(one for one in answers if one.status_code == 429)
    assert refused.json()["code"] == "rate_limited"
    assert 900 <= int(refused.headers["retry-after"]) <= 1000
    assert behind.metric("medserve_gateway_refused_total", reason="rate_limited") == CLIENTS * 4 - 37


def test_concurrency_holds_under_50_clients() -> None:
    behind = door(AccessSettings(keys=(key(concurrency=7), key(OTHER, id="other", concurrency=2))))

    async def both(url: str) -> tuple[list[httpx.Response], list[httpx.Response]]:
        return await asyncio.gather(flood(url, "/wait"), flood(url, "/wait", secret=OTHER))

    with serving(behind.app) as url:
        answers, others = asyncio.run(both(url))
        assert behind.inner.state.most == 9  # reached, and never more
        codes = Counter(one.status_code for one in answers + others)
        assert codes.keys() == {200, 429}
        refused = next(one for one in answers if one.status_code == 429)
        assert (refused.json()["code"], refused.headers["retry-after"]) == ("too_many_at_once", "1")
        # Every place was given back.
        again = asyncio.run(flood(url, "/wait", each=1))
        assert Counter(one.status_code for one in again)[200] >= 7
        assert behind.inner.state.most == 9


def test_the_whole_gateway_has_a_bound_and_probes_come_through() -> None:
    behind = door(AccessSettings(keys=(key(), key(OTHER, id="probe")), most_at_once=5))

    async def flooded(url: str) -> tuple[list[httpx.Response], list[int]]:
        flooding = asyncio.create_task(flood(url, "/wait", each=3))
        probes = []
        async with httpx.AsyncClient(headers={"X-API-Key": OTHER}, timeout=30) as asking:
            while not flooding.done():
                probes.append((await asking.get(f"{url}/model-info")).status_code)
                await asyncio.sleep(0.02)
        return await flooding, probes

    with serving(behind.app) as url:
        answers, probes = asyncio.run(flooded(url))
    assert behind.inner.state.most == 5
    assert set(probes) == {200}
    refused = next(one for one in answers if one.status_code != 200)
    assert (refused.status_code, refused.json()["code"]) == (503, "overloaded")
    assert refused.headers["retry-after"] == "1"


def test_places_come_back_from_clients_that_go_away() -> None:
    """50 that hang up in the middle of their request, with 3 places."""
    behind = door(AccessSettings(keys=(key(concurrency=3),)))

    async def hang_up(url: str) -> None:
        host, port = url.removeprefix("http://").split(":")
        _, writer = await asyncio.open_connection(host, int(port))
        writer.write(
            f"POST /predict/m HTTP/1.1\r\nHost: x\r\nX-API-Key: {SECRET}\r\nContent-Length: 99\r\n\r\nx".encode()
        )
        await writer.drain()
        await asyncio.sleep(0.05)
        writer.transport.abort()

    async def all_of_them(url: str) -> None:
        await asyncio.gather(*(hang_up(url) for _ in range(CLIENTS)))
        await asyncio.sleep(0.3)

    with serving(behind.app) as url:
        asyncio.run(all_of_them(url))
        answers = asyncio.run(flood(url, "/wait", each=1))
    assert Counter(one.status_code for one in answers)[200] >= 3
    assert behind.inner.state.most == 3


def test_wrong_keys_use_up_nothing_of_the_right_ones() -> None:
    with serving(door(AccessSettings(keys=(key(rate_per_s=0.001, burst=2),))).app) as url:
        wrong = asyncio.run(flood(url, "/predict/m", each=1, secret="wrong"))
        assert {one.status_code for one in wrong} == {401}
        assert httpx.post(f"{url}/predict/m", headers={"X-API-Key": SECRET}).status_code == 200
