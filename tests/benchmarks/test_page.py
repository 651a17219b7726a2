"""docs/performance.md says what benchmarks/results holds, and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.load.slo import Slo
from benchmarks.load.verdict import judged
from benchmarks.load.watch import Served, Step
from benchmarks.page.page import text
from benchmarks.page.results import Load, Overloads, ResultsError, Soaks, kept, read, write
from tests.benchmarks.runs import run
from tests.benchmarks.test_strain import HELD, SURVIVED

STEP = Step(name="net", requests=9, executions=3, queue_ms=1, input_ms=1, infer_ms=1, output_ms=1, batches={"3": 3})
SERVED = Served(steps=[STEP], cpu_s={"tritonserver": 1.0}, cpu_share=None, memory_mb=10.0)
SLO = Slo(name="m-100", models={"m": 1}, p95_ms=50)
LOAD = Load(machine="3 cores of Nobody", results=[judged(SLO, [run()], [SERVED])])


def test_the_page_has_each_kind_and_what_was_missed() -> None:
    soaks = Soaks(machine="3 cores of Nobody", model="m", soak=[SURVIVED])
    found = text([soaks, LOAD, Overloads(machine="3 cores of Nobody", model="m", overload=[HELD])])
    assert found.index("What callers get") < found.index("Ten times too many") < found.index("Four fifths")
    assert found.count("on 3 cores of Nobody.") == 3
    assert "- m-100: p95: expected at most 50 ms, got 100 ms" in found
    assert found.count("Everything that was promised held.") == 2
    assert "tritonserver 10.00; all of the server 10.00" in found


def test_kept_figures_make_the_same_page(tmp_path: Path) -> None:
    file = write(LOAD, tmp_path / "run", "results")
    small = kept(file, tmp_path / "results")
    assert small.name == "load.json"
    assert small.stat().st_size < file.stat().st_size
    assert text([read(small)]) == text([LOAD])


@pytest.mark.parametrize("content", ["", "{}", '{"kind": "load"}', '{"kind": "nothing", "machine": ""}'])
def test_other_files_are_refused(tmp_path: Path, content: str) -> None:
    file = tmp_path / "x.json"
    file.write_text(content)
    with pytest.raises(ResultsError, match="expected a benchmark's figures"):
        read(file)
