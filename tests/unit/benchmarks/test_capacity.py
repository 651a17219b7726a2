"""Replicas for a load: the queues by hand and by simulation, the costs by hand, the whole against what was measured."""

from __future__ import annotations

import heapq
import math
import random
import re
import statistics
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from benchmarks.capacity.__main__ import like, main, predicted_s
from benchmarks.capacity.measured import Call, CapacityError, call, limit
from benchmarks.capacity.plan import (
    CEILINGS,
    Load,
    Promise,
    host_bound,
    least_per_second,
    outlook,
    replicas,
)
from benchmarks.capacity.table import VCPUS, table
from benchmarks.capacity.waiting import closed_per_second, closed_wait_s, open_wait_s
from benchmarks.limit.inprocess import Cost
from benchmarks.limit.report import AT, Limit, Turn
from benchmarks.load.verdict import Load as Judgements
from benchmarks.load.watch import Served
from benchmarks.page.results import FOLDER, read
from export.models import all_specs
from tests.support.checkout import ROOT
from tests.support.load_runs import NOBODY, run

# How far the reckoning may be from a p95 that was measured, either way. Calls of a millisecond or two are the worst.
PICTURES, MOLECULES = 2.0, 2.5
CALL = Call(
    cpu_s=0.02, read_s=0.004, report_s=0.001, network_s=0.014, alone_s=0.02, alone_p95_s=0.03, cores=2, memory_mb=500
)  # 100 calls a second


@pytest.mark.parametrize(
    ("per_second", "servers", "expected"),
    [
        (0.5, 1, math.log(0.5 / 0.05) / 0.5),  # half of all wait, and then exp(-t / 2)
        (1.0, 2, math.log(1 / 3 / 0.05)),  # Erlang C of one erlang at two servers is 1/3
        (2.0, 3, math.log(4 / 9 / 0.05)),
        (0.04, 1, 0.0),  # fewer than one in twenty wait at all
        (1.0, 1, math.inf),
        (3.0, 2, math.inf),
    ],
)
def test_calls_at_random(per_second: float, servers: int, expected: float) -> None:
    assert open_wait_s(per_second, servers, 1.0, 0.95) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("callers", "servers", "away_s", "expected"),
    [
        (1, 1, 0.0, 0.0),
        (2, 1, 0.0, -math.log(0.05)),  # one service more
        (3, 1, 0.0, 4.7439),  # two: chi-square of four degrees, halved
        (100, 1, 0.0, 115.915),  # 99: of 198
        (100, 2, 0.0, 114.829 / 2),  # 98 at twice the rate: of 196
        (2, 1, 1.0, math.log(0.5 / 0.05)),  # the other is away half of the time
        (5, 5, 1.0, 0.0),
    ],
)
def test_callers_who_wait(callers: int, servers: int, away_s: float, expected: float) -> None:
    assert closed_wait_s(callers, servers, 1.0, away_s, 0.95) == pytest.approx(expected, abs=0.01)


@pytest.mark.parametrize(
    ("callers", "servers", "away_s", "expected"),
    [(2, 1, 1.0, 0.8), (3, 3, 1.0, 1.5), (7, 2, 0.0, 2.0), (1, 1, 4.0, 0.2)],  # 1 : 2 : 2 are none, one and two there
)
def test_what_waiting_callers_get(callers: int, servers: int, away_s: float, expected: float) -> None:
    assert closed_per_second(callers, servers, 1.0, away_s) == pytest.approx(expected)


@pytest.mark.parametrize(("callers", "servers", "away_s"), [(20, 3, 2.0), (12, 1, 10.0), (60, 8, 4.0)])
def test_a_simulation_agrees(callers: int, servers: int, away_s: float) -> None:
    dice = random.Random(7)
    free = [0.0] * servers
    due = sorted(dice.expovariate(1 / away_s) for _ in range(callers))
    waits = []
    while len(waits) < 60_000:
        now = heapq.heappop(due)
        begins = max(now, heapq.heappop(free))  # first come, first served
        ends = begins + dice.expovariate(1.0)
        heapq.heappush(free, ends)
        heapq.heappush(due, ends + dice.expovariate(1 / away_s))
        waits.append(begins - now)
    assert closed_per_second(callers, servers, 1.0, away_s) == pytest.approx(len(waits) / now, rel=0.03)
    simulated = sorted(waits)[int(0.95 * len(waits))]
    assert closed_wait_s(callers, servers, 1.0, away_s, 0.95) == pytest.approx(simulated, rel=0.05, abs=0.02)


def test_costs_are_added_up_by_what_took_the_time() -> None:
    spent = {"tritonserver": 1.0, "m_net_0_0": 5.0, "preprocess_x_0_0": 2.0, "preprocess_x_0_1": 1.0, "report_0_0": 1.0}
    served = Served(steps=[], cpu_s=spent, cpu_share=None, memory_mb=300.0)
    cost = Cost(read_s=0.01, engine_s=0.02, cores=3)
    many = Turn(send="files", users=AT, cost=cost, run=run(100), served=served)
    alone = Turn(send="files", users=1, cost=cost, run=run(100, latency_s=0.04), served=served)
    cheap = msgspec.structs.replace(
        many, served=msgspec.structs.replace(served, cpu_s={"featurize_y_0_0": 1.0, "n_net_0_0": 1.0})
    )
    found = Limit(setting=NOBODY, models={"m": [many, alone], "n": [cheap]})
    one = call(found, {"m": 1.0})
    assert one.cpu_s == pytest.approx(0.1)
    assert one.read_s == pytest.approx(0.03)
    assert one.network_s == one.host_s == pytest.approx(0.05)
    assert one.report_s == pytest.approx(0.01)
    assert (one.alone_p95_s, one.cores, one.memory_mb, one.guessed) == (pytest.approx(0.04, rel=0.01), 3, 300.0, ())
    mix = call(found, {"m": 3.0, "n": 1.0})
    assert mix.cpu_s == pytest.approx(0.75 * 0.1 + 0.25 * 0.02)
    assert mix.read_s == pytest.approx(0.75 * 0.03 + 0.25 * 0.01)
    assert (mix.memory_mb, mix.guessed) == (600.0, ("n",))
    with pytest.raises(CapacityError, match="expected figures of 100 callers"):
        call(Limit(setting=NOBODY, models={"m": [alone]}), {"m": 1.0})


@pytest.mark.parametrize(
    ("p95_s", "fill", "expected"),
    [
        (0.53, 0.5, 3),  # 200 a second: three replicas of 100 wait ln(4/9 / 0.05) / 100 s
        (0.03 + 0.0220, 0.5, 3),
        (0.03 + 0.0215, 0.5, 4),
        (0.03 + 0.0061, 0.5, 5),  # of four 0.1739 wait: ln(0.1739 / 0.05) / 200
        (0.53, 1.0, 2),  # one would be full
    ],
)
def test_the_fewest_that_keep_the_promise(p95_s: float, fill: float, expected: int) -> None:
    assert replicas(CALL, Load(per_second=100.0), Promise(p95_s=p95_s, fill=fill, spare=1)) == expected


@pytest.mark.parametrize("think_s", [0.0, 3.0])
def test_more_users_take_more_and_fewer_replicas_are_too_few(think_s: float) -> None:
    promise = Promise(p95_s=0.5, fill=0.6, spare=0)
    before = 0
    for users in (1, 10, 100, 1000):
        load = Load(users=users, think_s=think_s)
        count = replicas(CALL, load, promise)
        assert count >= before
        assert outlook(CALL, load.times(1 / 0.6), count)[1] <= 0.5
        assert count == 1 or outlook(CALL, load.times(1 / 0.6), count - 1)[1] > 0.5
        before = count
    assert before > 3


def test_what_a_call_takes_beside_the_cores_keeps_nobody_waiting() -> None:
    """Of 50 ms alone 40 are not the cores': two callers are 1 : 1/2 : 1/8 there."""
    call_s, load = replace(CALL, alone_s=0.05), Load(users=2)
    assert outlook(call_s, load, 1)[0] == pytest.approx(100 * 0.625 / 1.625)
    assert outlook(call_s, replace(load, think_s=0.16), 1)[0] == pytest.approx(100 * 0.105 / 1.105)


def test_a_gpu_waits_for_files() -> None:
    """6 ms of host time a call are 16 ÷ 6 ms; reports of 1 ms from one process for each 8 cores are fewer."""
    assert host_bound(CALL, 16) == pytest.approx(2000)
    assert host_bound(replace(CALL, report_s=1e-5), 16) == pytest.approx(16 / 0.006)
    assert host_bound(replace(CALL, report_s=1e-5), 64) == pytest.approx(64 / 0.006)  # no bound but the cores
    promise = Promise(p95_s=0.5, fill=0.5, spare=1)
    assert least_per_second(Load(users=900, think_s=1.0), promise) == pytest.approx(600)
    rows = table(CALL, Load(per_second=3000.0), promise, 1, "nobody's").splitlines()[2:]
    assert len(rows) == 1 + len(CEILINGS) * len(VCPUS)
    assert rows[0].startswith("| CPU, 2 cores each | 61 + 1 | 0 | 3000 |")
    # 6,000 a second, 2,000 for each node of 16 vCPU.
    assert rows[1].startswith("| L4, one each, 16 vCPU | 3 + 1 | 4 | ≥ 3000 | ? | 64 | ≥ 12.00 | ? | bound by the host")
    assert "2,000 calls a second, 15% of the GPU's; a ceiling, not measured" in rows[1]
    faster = table(replace(CALL, network_s=0.01999, read_s=1e-5, report_s=1e-6), Load(per_second=30.0), promise, 1, "")
    assert "| bound by the GPU; a ceiling" in faster
    assert len(table(CALL, Load(per_second=30.0), promise, 0, "nobody's").splitlines()) == 3


def _measured() -> list:
    """(name, what was measured, what is reckoned), p95 in seconds: of `make load`, another day's run than the costs."""
    costs, found = limit(FOLDER), read(FOLDER / "load.json")
    assert isinstance(found, Judgements)
    return [
        pytest.param(each.figures["p95"] / 1e3, predicted_s(one, each), name, id=each.slo.name)
        for each in found.results
        for name in each.slo.models
        if like(each, {name: 1.0})
        for one in [call(costs, {name: 1.0})]
    ]


@pytest.mark.parametrize(("measured_s", "reckoned_s", "model"), _measured())
def test_it_says_what_was_measured(measured_s: float, reckoned_s: float, model: str) -> None:
    factor = PICTURES if all_specs()[model].explained else MOLECULES
    assert 1 / factor < reckoned_s / measured_s < factor


def _other_loads() -> list:
    """The same of `make bench`'s own runs, from 8 to 300 callers: the costs are of 100."""
    found = limit(FOLDER)
    turns: dict[tuple[str, int], list[Turn]] = {}
    for name, each in found.models.items():
        for turn in each:
            if turn.send == "files" and turn.users not in (1, AT):
                turns.setdefault((name, turn.users), []).append(turn)
    return [
        pytest.param(
            statistics.median(turn.run.answered.p95 for turn in those) / 1e3,
            outlook(
                call(found, {name: 1.0}),
                Load(users=users),
                1,
                statistics.median(turn.run.client_cpu_s / turn.run.offered for turn in those),
            )[1],
            name,
            id=f"{name}-{users}",
        )
        for (name, users), those in turns.items()
    ]


@pytest.mark.parametrize(("measured_s", "reckoned_s", "model"), _other_loads())
def test_it_holds_for_other_numbers_of_callers(measured_s: float, reckoned_s: float, model: str) -> None:
    test_it_says_what_was_measured(measured_s, reckoned_s, model)


def test_every_model_was_measured_under_load() -> None:
    assert len(_measured()) >= 8


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["m", "--users", "1"], "models: expected some that were measured"),
        (["chest_xray"], "expected either --users or --per-second, got both or neither"),
        (["chest_xray", "--users", "1", "--per-second", "1"], "expected either --users or --per-second"),
        (["chest_xray", "--users", "0"], "--users: expected a whole number from 1"),
        (["chest_xray", "--users", "1.5"], "--users: expected a whole number"),
        (["chest_xray", "--users", "many"], "got 'many'"),
        (["chest_xray", "--per-second", "nan"], "--per-second: expected a number from"),
        (["chest_xray", "--per-second", "-1"], "--per-second: expected a number from"),
        (["chest_xray", "--per-second", "1", "--think-s", "1"], "--think-s: expected --users beside it"),
        (["chest_xray", "--users", "1", "--think-s", "-1"], "--think-s: expected a number from 0"),
        (["chest_xray", "--users", "1", "--fill", "1.1"], "--fill: expected a number from 1e-06 to 1"),
        (["chest_xray", "--users", "1", "--spare", "-1"], "--spare: expected a whole number from 0"),
        (["chest_xray", "--users", "1", "--p95-ms", "1"], "that a single caller's calls take on these cores, got 1."),
        (["chest_xray=0", "--users", "1"], "chest_xray: expected a number"),
        (["chest_xray", "chest_xray", "--users", "1"], "expected each once, got chest_xray twice"),
        (["chest_xray", "--users", "1", "--figures", "/nowhere"], "expected a benchmark's figures"),
    ],
)
def test_what_cannot_be_planned_is_told(arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    assert said in printed.err
    assert printed.err.startswith("capacity: ")


def test_the_documents_show_what_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    """After other figures were kept: paste what the command prints between the two marks."""
    text = (ROOT / "docs" / "deployment.md").read_text("utf-8")
    shown = re.findall(r"(?s)<!-- capacity: (.*?) -->\n\n(.*?)\n\n<!-- end -->", text)
    assert shown
    for arguments, pasted in shown:
        assert main(arguments.split()) == 0
        assert capsys.readouterr().out.strip() == pasted, f"python -m benchmarks.capacity {arguments}"


def test_figures_of_another_kind_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "limit.json").write_bytes((FOLDER / "soak.json").read_bytes())
    assert main(["chest_xray", "--users", "1", "--figures", str(tmp_path)]) == 1
    assert "expected figures of `make bench`" in capsys.readouterr().err
