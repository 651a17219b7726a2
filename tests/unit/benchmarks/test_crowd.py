"""Callers without a server: when they come, what counts as a refusal, and a run that is cut short."""

from __future__ import annotations

import asyncio
import random
import threading
from itertools import pairwise

import msgspec
import pytest

from benchmarks.load.crowd import STOP_S, Crowd
from benchmarks.load.recorder import Recorder
from benchmarks.load.slo import Campaign
from medserve import MedServeError, Overloaded, TimedOut, Unavailable
from tests.support.clock import Clock

NOWHERE = "grpc://127.0.0.1:1"
PROMISES = """
runs = 1
seconds = 3
warm_s = 1
[files.solubility]
smiles = { table = "none.csv", column = "smiles" }
[[slo]]
name = "quick"
models = { solubility = 1 }
users = 8
p95_ms = 60000
[[slo]]
name = "arrivals"
models = { solubility = 1 }
users = 4
per_second = 30
p95_ms = 60000
"""


@pytest.fixture(scope="module")
def campaign(tmp_path_factory: pytest.TempPathFactory) -> Campaign:
    file = tmp_path_factory.mktemp("slo") / "slo.toml"
    file.write_text(PROMISES)
    return Campaign.read(file)


def test_arrivals_come_at_their_rate_whatever_the_answers_take(campaign: Campaign) -> None:
    """By Poisson's law: 7.5 a second for each of the four callers."""
    clock, stopped, answered, came = Clock(), threading.Event(), asyncio.Event(), list[float]()

    async def sleep(seconds: float) -> None:
        assert seconds <= STOP_S
        clock.advance(seconds)
        if clock() > 1100:
            stopped.set()
            answered.set()
        await asyncio.sleep(0)

    async def late(model: str, place: int) -> float:
        came.append(clock())
        await answered.wait()
        return 0.0

    crowd = Crowd(campaign, campaign.slo[1], NOWHERE, None, clock=clock, sleep=sleep)
    crowd._random = random.Random(0)
    crowd._caller.call = late  # type: ignore[method-assign]
    clock.now = 1000.0
    asyncio.run(crowd._arrive(stopped))
    assert 640 < len(came) < 860  # 750 ± 4 standard deviations
    gaps = [later - earlier for earlier, later in pairwise(came)]
    assert max(gaps) > 3 / 7.5  # not evenly
    assert sum(gap < 0.5 / 7.5 for gap in gaps) > len(gaps) / 4


@pytest.mark.parametrize(
    ("error", "refused"), [(Overloaded("m: full"), 1), (Unavailable("m: nobody there"), 0), (TimedOut("m: late"), 0)]
)
def test_only_a_queue_refuses(campaign: Campaign, error: MedServeError, refused: int) -> None:
    slo = msgspec.structs.replace(campaign.slo[0], may_refuse=True)
    crowd = Crowd(campaign, slo, NOWHERE, None)
    crowd.recorder = Recorder(0)

    async def failing(model: str, place: int) -> float:
        raise error

    crowd._caller.call = failing  # type: ignore[method-assign]
    asyncio.run(crowd._one())
    assert sum(found.total_count for found in crowd.recorder.refused.values()) == refused
    assert bool(crowd.recorder.failed) != bool(refused)


def test_a_run_that_is_cut_short_says_so(campaign: Campaign) -> None:
    clock = Clock()
    crowd = Crowd(campaign, campaign.slo[0], NOWHERE, None, clock=clock)
    crowd.start(lambda: None, lambda: None)
    clock.advance(1.5)
    assert "1 × ended 2.5 s too early" in crowd.result().complaints()
