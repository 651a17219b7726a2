"""What probes are told by a live server: ready, lost, frozen, draining."""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from benchmarks.ports import free_ports
from medserve import Client
from server.health import Health, State
from tests.support.live import Live, serving

SMALL = "solubility"


@pytest.fixture(scope="module")
def live(repository: Path, tmp_path_factory: pytest.TempPathFactory):
    with serving(repository, tmp_path_factory.mktemp("health"), MODELS=SMALL, DRAIN_DELAY_S="3") as found:
        yield found


def _metric(live: Live, name: str, **labels: str) -> float:
    (value,) = (
        sample.value
        for family in text_string_to_metric_families(live.probe("/metrics").body.decode())
        for sample in family.samples
        if sample.name == name and labels.items() <= sample.labels.items()
    )
    return value


def _until(condition, timeout_s: float) -> float:
    """Seconds until it holds."""
    began = time.monotonic()
    while not condition():
        assert time.monotonic() - began < timeout_s
        time.sleep(0.05)
    return time.monotonic() - began


def test_a_server_is_ready_when_each_of_its_models_is(live: Live) -> None:
    told = live.probe("/ready")
    assert told.status == 200
    models = told.json()["models"]
    assert {SMALL, f"{SMALL}_net", "report"} <= set(models)
    assert all(models.values())
    assert live.probe("/live").status == 200
    assert live.probe("/elsewhere").status == 404
    assert _metric(live, "medserve_model_ready", model=SMALL) == 1
    assert _metric(live, "medserve_state", state="serving", profile="cpu") == 1


def test_what_it_holds_of_the_memory(live: Live) -> None:
    held = {part: _metric(live, "medserve_memory_bytes", part=part) for part in ("launcher", "triton", "workers")}
    assert all(5e6 < part < 4e9 for part in held.values()), held
    assert sum(held.values()) < _metric(live, "medserve_memory_limit_bytes")


def test_a_silent_prober_keeps_nobody_waiting(live: Live) -> None:
    with socket.create_connection(("127.0.0.1", live.health)):
        assert live.probe("/ready").status == 200


def test_a_server_that_has_lost_a_worker_is_not_ready_until_it_is_replaced(live: Live) -> None:
    before = _metric(live, "medserve_restarts_total")
    live.workers()[f"{SMALL}_net_0_0"].kill()
    _until(lambda: live.probe("/ready").status == 503, 3)
    assert live.probe("/live").status == 200
    _until(lambda: live.probe("/ready").status == 200, 60)
    assert _metric(live, "medserve_restarts_total") == before + 1


def test_a_frozen_server_is_neither_ready_nor_alive(live: Live) -> None:
    triton = live.triton().pid
    os.kill(triton, signal.SIGSTOP)
    try:
        _until(lambda: live.probe("/ready").status == 503, 5)
        assert live.probe("/live").status == 503
    finally:
        os.kill(triton, signal.SIGCONT)
    _until(lambda: live.probe("/ready").status == 200, 10)


def test_a_stopping_server_answers_on_while_it_says_that_it_stops(live: Live) -> None:
    """Last: it ends the server. Calls that come while balancers look around are answered."""
    answered: list[bool] = []
    stopping = threading.Thread(target=live.stop)
    with Client(live.grpc_url) as client:
        client.predict(SMALL, smiles="CCO")
        stopping.start()
        _until(lambda: live.probe("/ready").status == 503, 1)
        assert live.probe("/ready").json()["state"] == "draining"
        ends = time.monotonic() + 2
        while time.monotonic() < ends:
            assert live.probe("/live").status == 200
            answered.append(client.predict(SMALL, smiles="CCO").report is not None)
    stopping.join(60)
    assert live.process.returncode == 0
    assert len(answered) > 20
    assert all(answered)


def test_who_is_not_there_is_not_ready() -> None:
    (port,) = free_ports(1)
    health = Health("127.0.0.1", port, ["a"], "cpu", 1000)
    assert health.live()  # it starts
    assert health.models() == {"a": False}
    health.state = State.SERVING
    assert not health.live()
    assert health.models() == {"a": False}
