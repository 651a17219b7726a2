"""docs/performance.md says what benchmarks/results holds, and nothing else."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from benchmarks import setting
from benchmarks.figures import FiguresError, write
from benchmarks.limit.inprocess import Cost
from benchmarks.limit.report import Limit, Turn
from benchmarks.load.slo import Campaign, Slo
from benchmarks.load.traffic import files_description
from benchmarks.load.verdict import Load, judged
from benchmarks.load.watch import Served, Step
from benchmarks.page.page import text
from benchmarks.page.results import Results, kept, read
from benchmarks.peers.report import Peers
from benchmarks.setting import Setting
from benchmarks.strain.overload import Overloads
from benchmarks.strain.soak import Soaks
from tests.load.test_strain import HELD, SURVIVED
from tests.support.load_runs import NOBODY, run

STEP = Step(
    name="net", requests=9, items=9, executions=3, queue_ms=1, input_ms=1, infer_ms=1, output_ms=1, batches={"3": 3}
)
SERVED = Served(steps=[STEP], cpu_s={"tritonserver": 1.0}, cpu_share=None, memory_mb=10.0)
SLO = Slo(name="m-100", models={"m": 1}, p95_ms=50)
LOAD = Load(setting=NOBODY, results=[judged(SLO, [run()], [SERVED])])


def test_the_page_has_each_kind_and_what_was_missed() -> None:
    soaks = Soaks(setting=NOBODY, model="m", soak=[SURVIVED])
    found = text([soaks, LOAD, Overloads(setting=NOBODY, model="m", overload=[HELD])])
    assert found.index("What callers get") < found.index("Ten times capacity") < found.index("For long: m")
    assert found.count("on 3 cores of Nobody; made files; commit abc; 2026-01-01.") == 3
    assert "Not measured with this version: `make bench`, `make peers`, `python -m benchmarks.gpu.proof`" in found
    assert "- m-100: p95: expected at most 50 ms, got 100 ms" in found
    assert found.count("Everything that was promised held.") == 2
    assert "tritonserver 10.00; all of the server 10.00, of which reading files takes 0%" in found


def test_a_promise_stands_beside_what_its_cores_can_do() -> None:
    """100 callers within 50 ms are 2,000 answers a second; what takes 8 ms of the engine and 4 of one core is 100."""
    turn = Turn(send="files", users=100, cost=Cost(read_s=0.004, engine_s=0.008, cores=2), run=run(), served=SERVED)
    others = [
        msgspec.structs.replace(SLO, name="tensors", send="tensors"),
        msgspec.structs.replace(SLO, name="mixed", models={"m": 3, "n": 1}),
        msgspec.structs.replace(SLO, name="arrivals", per_second=9.0),
        msgspec.structs.replace(SLO, name="films", size=(1024, 1024)),
    ]
    load = Load(setting=NOBODY, results=[*LOAD.results, *(judged(slo, [run()], [SERVED]) for slo in others)])
    slower = msgspec.structs.replace(turn, cost=Cost(read_s=0, engine_s=0.05, cores=2))
    found = text([load, Limit(setting=NOBODY, models={"m": [turn], "n": [slower]})])
    table = found[found.index("What was within reach") :]
    assert [line for line in table.splitlines() if line.startswith("| ")][1:] == [
        "| m-100 | 100 | 50 | 2000 | 100.0 | 5.0 |",
        "| tensors | 100 | 50 | 2000 | 125.0 | 5.0 |",
        "| mixed | 100 | 50 | 2000 | 50.0 | 5.0 |",
    ]
    elsewhere = msgspec.structs.replace(NOBODY, code="def")
    assert "within reach" not in text([load, Limit(setting=elsewhere, models={"m": [turn], "n": [slower]})])


def test_kept_figures_make_the_same_page(tmp_path: Path) -> None:
    file = write(LOAD, tmp_path / "run", "results")
    small = kept(file, tmp_path / "results")
    assert small.name == "load.json"
    assert small.stat().st_size < file.stat().st_size
    assert text([read(small)]) == text([LOAD])


@pytest.mark.parametrize(
    "nothing",
    [
        Load(setting=NOBODY, results=[]),
        Overloads(setting=NOBODY, model="m", overload=[]),
        Soaks(setting=NOBODY, model="m", soak=[]),
        Limit(setting=NOBODY, models={}),
        Limit(setting=NOBODY, models={"m": []}),
        Peers(setting=NOBODY, turns=[]),
    ],
)
def test_nothing_is_no_result(tmp_path: Path, nothing: Results) -> None:
    with pytest.raises(FiguresError, match="expected a benchmark's figures"):
        write(nothing, tmp_path, "x")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("content", ["", "{}", '{"kind": "load"}', '{"kind": "nothing", "machine": ""}'])
def test_other_files_are_refused(tmp_path: Path, content: str) -> None:
    file = tmp_path / "x.json"
    file.write_text(content)
    with pytest.raises(FiguresError, match="expected a benchmark's figures"):
        read(file)


def test_figures_of_one_machine_are_kept_side_by_side(tmp_path: Path) -> None:
    other = Slo(name="other", models={"m": 1}, p95_ms=500)
    later = Load(setting=NOBODY, results=[judged(other, [run(50)], [SERVED])])
    elsewhere = Load(setting=msgspec.structs.replace(NOBODY, machine="1 core of Somebody"), results=later.results)
    names = []
    for number, each in enumerate((LOAD, later, elsewhere)):
        small = read(kept(write(each, tmp_path / "run", str(number)), tmp_path / "results"))
        assert isinstance(small, Load)
        names.append([one.slo.name for one in small.results])
    assert names == [["m-100"], ["m-100", "other"], ["other"]]


def test_a_setting_says_what_the_figures_are_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(setting, "_git", lambda command, *_: {"log": "1234abc", "status": " M a.py"}[command])
    (tmp_path / "cxr").mkdir()
    (tmp_path / "cxr" / "film.png").write_bytes(b"")
    campaign = Campaign.read()
    assert files_description(campaign, tmp_path, ["chest_xray"]) == "real files"
    assert files_description(campaign, tmp_path, ["chest_xray", "brain_ct"]) == "real files, but made ones for brain_ct"
    assert files_description(campaign, None, ["chest_xray"]) == "made files"
    real = Setting.here(tmp_path, "real files", ["chest_xray"])
    assert "real files; untrained weights in chest_xray; commit 1234abc+; " in str(real)
    there = Setting.here(tmp_path, "made files", ["chest_xray"], "grpc://gpu:8001")
    assert str(there).startswith("the server at grpc://gpu:8001, the load generator on ")
    assert not there.like(real)
    assert real.like(msgspec.structs.replace(real, day="2026-01-02", files="made files"))
