"""What probes are told by a live server: ready, lost, frozen, draining."""

from __future__ import annotations

import signal
import socket
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from benchmarks.ports import free_ports
from medserve import Client
from server.health import Health, State
from tests.support.clock import HANG_S, until
from tests.support.live import Live, serving

SMALL = "solubility"


@pytest.fixture(scope="module")
def live(tiny_repository: Path, tmp_path_factory: pytest.TempPathFactory):
    folder = tmp_path_factory.mktemp("health")
    with serving(tiny_repository, folder, MODELS=f"{SMALL},pneumonia", DRAIN_DELAY_S="600") as found:
        yield found
        found.process.kill()  # a drain would wait those 600 s


def _metric(live: Live, name: str, **labels: str) -> float:
    (value,) = (
        sample.value
        for family in text_string_to_metric_families(live.probe("/metrics").body.decode())
        for sample in family.samples
        if sample.name == name and labels.items() <= sample.labels.items()
    )
    return value


def test_only_the_models_asked_for_are_loaded(live: Live) -> None:
    assert {name.rsplit("_", 2)[0] for name in live.workers()} == {
        "solubility_net",
        "pneumonia_net",
        "featurize_molecule",
        "preprocess_xray",
        "describe",
        "report",
    }
    assert live.request("GET", "/v2/models/chest_xray/ready").status == 400


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
    until(lambda: live.probe("/ready").status == 503, "not ready")
    assert live.probe("/live").status == 200
    until(lambda: live.probe("/ready").status == 200, "ready again")
    assert _metric(live, "medserve_restarts_total") == before + 1


def test_a_frozen_server_is_neither_ready_nor_alive(live: Live) -> None:
    triton = live.triton()
    triton.suspend()
    try:
        until(lambda: live.probe("/ready").status == 503, "not ready")
        until(lambda: live.probe("/live").status == 503, "not alive")
    finally:
        triton.resume()
    until(lambda: live.probe("/ready").status == 200, "ready again")


def test_a_stopping_server_answers_while_it_reports_that_it_drains(live: Live) -> None:
    """Last: it ends the server. Calls that come while balancers take notice are answered."""
    with Client(live.grpc_url) as client:
        client.predict(SMALL, smiles="CCO")
        live.process.send_signal(signal.SIGTERM)
        until(lambda: live.probe("/ready").status == 503, "not ready")
        assert live.probe("/ready").json()["state"] == "draining"
        for _ in range(20):
            assert live.probe("/live").status == 200
            assert client.predict(SMALL, smiles="CCO").report is not None
    live.process.send_signal(signal.SIGTERM)  # a second time: at once
    assert live.process.wait(HANG_S) == 0


def test_who_is_not_there_is_not_ready() -> None:
    (port,) = free_ports(1)
    health = Health("127.0.0.1", port, ["a"], "cpu", 1000)
    assert health.live()  # it starts
    assert health.models() == {"a": False}
    health.state = State.SERVING
    assert not health.live()
    assert health.models() == {"a": False}
