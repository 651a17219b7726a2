"""What tasks eight models take, from which `server.sizing` derives how many workers a container may have."""

from __future__ import annotations

from pathlib import Path

import psutil
import pytest
import yaml

from server.sizing import OTHER_TASKS, TASKS_PER_WORKER
from tests.support.checkout import ROOT
from tests.support.live import serving

pytestmark = pytest.mark.slow  # dozens of worker processes start

WORKERS = 3  # of each step: the figures of 16 are 106 workers with 5,282 tasks, and take 7 GB
STEPS, CORES = 6, 16


def test_tasks_of_a_worker_are_no_more_than_the_sizing_expects(tiny_repository: Path, tmp_path: Path) -> None:
    with serving(tiny_repository, tmp_path, STEP_WORKERS=str(WORKERS), REPORT_WORKERS="2") as live:
        workers = live.workers()
        family = [psutil.Process(live.process.pid), *psutil.Process(live.process.pid).children(recursive=True)]
        tasks = sum(process.num_threads() for process in family)
    assert len(workers) >= STEPS * WORKERS
    print(f"{len(workers)} workers, {tasks} tasks")
    assert tasks <= OTHER_TASKS + TASKS_PER_WORKER * len(workers)


def test_tasks_of_16_cores_are_within_the_limit_of_compose() -> None:
    compose = yaml.safe_load((ROOT / "docker" / "compose.yaml").read_text("utf-8"))
    others = 10 + CORES // 8  # networks, reports, the self-description
    assert OTHER_TASKS + TASKS_PER_WORKER * (STEPS * CORES + others) < compose["x-server"]["pids_limit"]
