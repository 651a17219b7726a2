"""What probes are told of a server, and how often it is asked for that."""

from __future__ import annotations

import pytest

from server.health import KEPT_S, Health, State, _Metrics
from tests.support.clock import Clock

MODELS = ("lung", "lung_net", "report")


class Server:
    """Triton's answers to probes, by path; what has none is not answered at all."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.ready = {f"/v2/models/{model}/ready": 200 for model in MODELS} | {"/v2/health/live": 200}

    def __call__(self, host: str, port: int, path: str, timeout_s: float) -> tuple[int, bytes]:
        self.asked.append(path)
        return self.ready.get(path, 0), b""


@pytest.fixture
def server() -> Server:
    return Server()


def _health(server: Server, clock: Clock, state: State = State.SERVING) -> Health:
    health = Health("127.0.0.1", 1, MODELS, "cpu", 1000, clock=clock, ask=server)
    health.state = state
    return health


def test_a_server_is_ready_when_each_of_its_models_is(server: Server) -> None:
    health = _health(server, Clock())
    assert health.live()
    assert health.models() == dict.fromkeys(MODELS, True)


def test_a_model_that_lost_its_worker_is_not_ready(server: Server) -> None:
    server.ready["/v2/models/lung_net/ready"] = 400
    assert _health(server, Clock()).models() == {"lung": True, "lung_net": False, "report": True}


def test_who_is_not_there_is_neither_ready_nor_alive(server: Server) -> None:
    server.ready.clear()
    health = _health(server, Clock())
    assert not health.live()
    server.asked.clear()
    assert health.models() == dict.fromkeys(MODELS, False)
    assert len(server.asked) == 1  # a frozen server would keep the prober waiting for each model


@pytest.mark.parametrize("state", [State.STARTING, State.RESTARTING, State.DRAINING])
def test_a_server_that_takes_no_calls_is_alive_and_not_ready_whatever_triton_says(server: Server, state: State) -> None:
    health = _health(server, Clock(), state)
    assert health.live()
    assert health.models() == dict.fromkeys(MODELS, False)
    assert not server.asked


def test_many_probes_ask_no_more_often_than_one(server: Server) -> None:
    clock = Clock()
    health = _health(server, clock)
    for _ in range(100):
        health.models()
    assert len(server.asked) == len(MODELS)
    clock.advance(KEPT_S * 1.01)
    server.ready["/v2/models/report/ready"] = 400
    assert not health.models()["report"]
    assert len(server.asked) == 2 * len(MODELS)


def test_metrics_name_the_file_and_the_runtime_of_each_network(server: Server) -> None:
    networks = {"lung_net": ("sm90.plan", "TensorRT")}
    health = Health("127.0.0.1", 1, MODELS, "tensorrt", 1000, networks, clock=Clock(), ask=server)
    networks["skin_net"] = "fp16.onnx", "onnxruntime CUDA"  # published later
    (family,) = (family for family in _Metrics(health).collect() if family.name == "medserve_network")
    assert [(sample.labels, sample.value) for sample in family.samples] == [
        ({"network": "lung_net", "file": "sm90.plan", "runtime": "TensorRT"}, 1),
        ({"network": "skin_net", "file": "fp16.onnx", "runtime": "onnxruntime CUDA"}, 1),
    ]
