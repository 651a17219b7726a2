"""Versions on real servers: who answers, and what becomes of a canary that gives no answer."""

from __future__ import annotations

import socket
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from benchmarks.ports import free_ports
from export.samples import picture
from tests.support.clock import Clock, until
from tests.support.gateway_app import OWN, audit_lines, film_server, gateway_app
from tests.support.live import Live
from tests.support.server_stub import films, listening

MODEL = "solubility"
MOLECULES = tuple("C" * count + "O" for count in range(1, 41))


def _table(name: str, url: str, weight: float, *, shadow: bool = False, model: str = MODEL) -> str:
    lines = [f'model = "{model}"', f'name = "{name}"', f'url = "{url}"', f"weight = {weight}"]
    return "\n".join(["[[route]]", *lines, f"shadow = {str(shadow).lower()}", ""])


def test_a_canary_and_a_shadow(triton: Live, tmp_path: Path) -> None:
    file, url = tmp_path / "routes.toml", triton.grpc_url
    file.write_text(_table("canary", url, 0.5) + _table("next", url, 1.0, shadow=True), "utf-8")
    with gateway_app(tmp_path, GATEWAY_SERVER=url, GATEWAY_ROUTES=str(file)) as client:
        first = [client.post(f"/predict/{MODEL}", json={"smiles": one}).json() for one in MOLECULES]
        again = [client.post(f"/predict/{MODEL}", json={"smiles": one}).json() for one in MOLECULES]
        until(lambda: sum(line["kind"] == "shadow" for line in audit_lines(tmp_path)) == 80, "the shadow's lines")
    answers = {line["prediction_id"]: line["route"] for line in audit_lines(tmp_path) if line["kind"] == "answer"}
    by_route = Counter(answers.values())
    assert set(by_route) == {"", "canary"}
    assert min(by_route.values()) > 20
    for one, other in zip(first, again, strict=True):
        assert answers[one["prediction_id"]] == answers[other["prediction_id"]]
        assert one["prediction"] == pytest.approx(other["prediction"], abs=1e-3)  # its batch may be another


@contextmanager
def _deaf() -> Iterator[int]:
    """A port that takes connections, and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening.getsockname()[1]


@contextmanager
def _stranger() -> Iterator[int]:
    """A server of something else."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = b"<h1>a page of another service</h1>"
            self.send_response(404)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.mark.parametrize("kind", ["deaf", "stranger", "without the model", "refused"])
def test_a_canary_that_gives_no_answer_costs_nobody_his(tmp_path: Path, kind: str) -> None:
    file = tmp_path / "routes.toml"
    with _deaf() as deaf, _stranger() as stranger, listening(films()) as other:
        url = {
            "deaf": f"grpc://127.0.0.1:{deaf}",
            "stranger": f"http://127.0.0.1:{stranger}",
            "without the model": other.url("grpc"),
            "refused": f"grpc://127.0.0.1:{free_ports(1)[0]}",
        }[kind]
        file.write_text(_table("canary", url, 1.0, model="film"), "utf-8")
        own = {"GATEWAY_ROUTES": str(file), "GATEWAY_TIMEOUT_S": "3"}
        with gateway_app(tmp_path, {OWN: film_server()}, clock=Clock(), **own) as client:
            for _ in range(3):
                answer = client.post("/predict/film", content=b"x")
                assert answer.status_code == 200, answer.text
                assert "another service" not in answer.text
    routes = [line["route"] for line in audit_lines(tmp_path)]
    assert routes == ["canary", "", "", ""]  # it is left alone for a while


def test_what_a_canary_cannot_show_the_own_server_does(triton: Live, tmp_path: Path) -> None:
    file = tmp_path / "routes.toml"
    with listening(films()) as other:
        file.write_text(_table("canary", other.url("grpc"), 1.0, model="chest_xray"), "utf-8")
        with gateway_app(tmp_path, GATEWAY_SERVER=triton.grpc_url, GATEWAY_ROUTES=str(file)) as client:
            answer = client.post("/predict/chest_xray?explain=seen", files={"file": ("x.png", picture(1))})
    assert answer.status_code == 200, answer.text
    assert answer.json()["pictures"]["image"].startswith("data:image/png")
    assert answer.json()["echo"]  # the canary's
