"""What KEDA would be told, by Prometheus itself: promtool evaluates the rendered queries over series of our making."""

from __future__ import annotations

import math
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.support.chart import VALUES, kinds, rendered

OF = 'namespace="medserve", service="medserve-l4"'


@pytest.fixture(scope="module")
def queries() -> dict[str, str]:
    (scaled,) = [
        one for one in kinds(rendered(VALUES["gpu"]), "ScaledObject") if one["metadata"]["name"] == "medserve-l4"
    ]
    return {trigger["name"]: trigger["metadata"]["query"] for trigger in scaled["spec"]["triggers"]}


def _told(query: str, series: dict[str, str], folder: Path) -> float | None:
    """After five minutes; None: nothing."""
    if (promtool := shutil.which("promtool")) is None:
        pytest.skip("needs promtool, which comes with Prometheus")
    test = {
        "evaluation_interval": "1m",
        "tests": [
            {
                "interval": "15s",
                "input_series": [{"series": name, "values": values} for name, values in series.items()],
                "promql_expr_test": [
                    {"expr": query, "eval_time": "5m", "exp_samples": [{"labels": "none{}", "value": 0}]}
                ],
            }
        ],
    }
    file = folder / "test.yaml"
    file.write_text(yaml.safe_dump(test), "utf-8")
    said = subprocess.run([promtool, "test", "rules", str(file)], capture_output=True, text=True)
    found = re.search(r"got:\s*(nil|\{\} ([-+.\deENaInf]+))", said.stdout + said.stderr)
    assert found, said.stdout + said.stderr
    return None if found[1] == "nil" else float(found[2])


def _servers(count: int) -> dict[str, str]:
    """Steps of so many servers, each with three requests that wait, and no call answered."""
    return {
        f'medserve_worker_waiting{{{OF}, pod="{pod}", model="preprocess_xray", worker="{worker}"}}': f"{worker + 1}x40"
        for pod in range(count)
        for worker in (0, 1)
    }


def test_waiting_is_what_waits_for_steps_and_for_networks(queries: dict[str, str], tmp_path: Path) -> None:
    steps = _servers(2)
    other = {f'medserve_worker_waiting{{{OF.replace("l4", "h100")}, pod="9", model="preprocess_xray"}}': "100x40"}
    assert _told(queries["waiting"], steps | other, tmp_path) == 6
    networks = {f'nv_inference_pending_request_count{{{OF}, pod="0", model="chest_xray_net"}}': "10x40"}
    ensembles = {f'nv_inference_pending_request_count{{{OF}, pod="0", model="chest_xray"}}': "1000x40"}  # means nothing
    assert _told(queries["waiting"], steps | networks | ensembles, tmp_path) == 16


def test_nothing_scraped_is_no_number(queries: dict[str, str], tmp_path: Path) -> None:
    """0 would be a reason to have fewer servers."""
    unrelated = {f'up{{{OF}, pod="0"}}': "1x40"}
    for query in queries.values():
        assert _told(query, unrelated, tmp_path) is None


def test_nobody_calling_is_nothing_to_do(queries: dict[str, str], tmp_path: Path) -> None:
    assert _told(queries["queue-time"], _servers(2), tmp_path) == 0


def _rates(model: str, per_call_s: float) -> dict[str, str]:
    """A call a second, each of which waits so long: as our own workers tell it."""
    of = f'{OF}, pod="0", model="{model}"'
    return {
        f"medserve_worker_requests_total{{{of}}}": "0+15x40",
        f"medserve_worker_queue_seconds_total{{{of}}}": f"0+{15 * per_call_s}x40",
    }


def test_queue_time_is_the_slowest_queues_times_the_servers(queries: dict[str, str], tmp_path: Path) -> None:
    """KEDA divides by them again."""
    told = _told(queries["queue-time"], _servers(3) | _rates("preprocess_xray", 0.2) | _rates("report", 0.05), tmp_path)
    assert told is not None
    assert math.isclose(told, 3 * 200)


def test_tritons_own_queues_count_where_networks_run_in_its_own_backends(
    queries: dict[str, str], tmp_path: Path
) -> None:
    of = f'{OF}, pod="0", model="chest_xray_net"'
    triton = {
        f"nv_inference_request_success{{{of}}}": "0+15x40",
        f"nv_inference_queue_duration_us{{{of}}}": "0+6000000x40",
    }
    told = _told(queries["queue-time"], _servers(1) | _rates("preprocess_xray", 0.01) | triton, tmp_path)
    assert told is not None
    assert math.isclose(told, 400)
