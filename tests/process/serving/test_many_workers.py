"""Eight models with the processes of a machine with 16 cores, below the limit of processes that compose sets."""

from __future__ import annotations

from pathlib import Path

import psutil
import pytest
import yaml

from medserve import Client
from tests.support.checkout import ROOT
from tests.support.live import serving

pytestmark = pytest.mark.slow  # about a hundred worker processes start

CORES = 16


def test_processes_and_threads_of_16_cores_stay_below_the_limit(tiny_repository: Path, tmp_path: Path) -> None:
    compose = yaml.safe_load((ROOT / "docker" / "compose.yaml").read_text("utf-8"))
    limit = compose["x-server"]["pids_limit"]
    sizes = {"STEP_WORKERS": str(CORES), "REPORT_WORKERS": str(CORES // 8)}
    with serving(tiny_repository, tmp_path, **sizes) as live:
        with Client(live.grpc_url, timeout_s=300) as client:
            assert client.predict("solubility", smiles="CCO").report is not None
        workers = live.workers()
        steps = [name for name in workers if not name.startswith(("report", "describe")) and "_net_" not in name]
        assert len(steps) >= 5 * CORES
        family = [psutil.Process(live.process.pid), *psutil.Process(live.process.pid).children(recursive=True)]
        tasks = {process.pid: process.num_threads() for process in family}
        print(f"{len(tasks)} processes, {sum(tasks.values())} tasks; limit {limit}")
        assert sum(tasks.values()) < limit
        # One thread more for each visible core in each of them is what a library's own pool would be.
        assert sum(tasks.values()) + len(steps) * (CORES - 2) < limit
