"""What fails beside the gateway: a server that hangs, a canary that is no server, an audit log that is gone."""

from __future__ import annotations

import json
import os
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest

from benchmarks.ports import free_ports
from export.samples import picture
from medserve.testing import FakeModel, FakeServer
from tests.support.checkout import ROOT
from tests.support.gateway_process import gateway
from tests.support.live import Live
from tests.support.server_stub import films, listening

MODEL = "solubility"
SENT = {"json": {"smiles": "CCO"}}


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


def test_nobody_waits_in_line_for_a_server_that_hangs(tmp_path: Path) -> None:
    def ask(number: int) -> tuple[int, float]:
        began = time.monotonic()
        with httpx.Client(base_url=door.url, timeout=60) as client:
            answer = client.get("/model-info") if number % 2 else client.post(f"/predict/{MODEL}", **SENT)
        return answer.status_code, time.monotonic() - began

    with _deaf() as port, gateway(f"grpc://127.0.0.1:{port}", tmp_path, GATEWAY_TIMEOUT_S="3") as door:
        with ThreadPoolExecutor(12) as callers:
            found = list(callers.map(ask, range(12)))
        assert httpx.get(f"{door.url}/drift", timeout=10).json()["models"] == {}
    assert {status for status, _ in found} == {504}
    assert max(took for _, took in found) < 6


@pytest.mark.parametrize("kind", ["deaf", "stranger", "without the model", "refused"])
def test_a_canary_that_gives_no_answer_costs_nobody_his(triton: Live, tmp_path: Path, kind: str) -> None:
    serves, protocol = MODEL, "grpc"
    with _deaf() as deaf, _stranger() as stranger:
        port = {"deaf": deaf, "stranger": stranger, "refused": free_ports(1)[0]}.get(kind, triton.grpc)
        if kind == "without the model":
            serves = "next"
        if kind == "stranger":
            protocol = "http"
        routes = tmp_path / "routes.toml"
        routes.write_text(
            f'[[route]]\nmodel = "{MODEL}"\nname = "canary"\nserves = "{serves}"\n'
            f'url = "{protocol}://127.0.0.1:{port}"\nweight = 1.0\n'
        )
        own = {"GATEWAY_ROUTES": str(routes), "GATEWAY_TIMEOUT_S": "6"}
        with gateway(triton.grpc_url, tmp_path / "run", **own) as door, door.client() as client:
            took = []
            for _ in range(3):
                began = time.monotonic()
                answer = client.post(f"/predict/{MODEL}", **SENT)
                took.append(time.monotonic() - began)
                assert answer.status_code == 200, answer.text
                assert "another service" not in answer.text
    assert took[0] < 4
    assert max(took[1:]) < 1  # it is left alone for a while


def _films(**report: object) -> FakeServer:
    return FakeServer({"film": FakeModel(labels=("a", "b"), probabilities=(0.2, 0.8), answering=lambda _: report)})


@pytest.mark.parametrize("broken", [{"prediction": "x" * 300}, {"prediction": "a\nb"}])
def test_an_answer_that_cannot_be_recorded_is_none(tmp_path: Path, broken: dict[str, str]) -> None:
    """A canary's costs nobody his answer; the own server's is an error, and is told as one."""
    routes = tmp_path / "routes.toml"
    sent = {"content": b"x", "headers": {"content-type": "image/png"}}
    with listening(_films()) as sound, listening(_films(**broken)) as other:
        routes.write_text(f'[[route]]\nmodel = "film"\nname = "canary"\nurl = "{other.url("grpc")}"\nweight = 1.0\n')
        with gateway(sound.url("grpc"), tmp_path / "one", GATEWAY_ROUTES=str(routes)) as door:
            assert httpx.post(f"{door.url}/predict/film", **sent).json()["prediction"] == "b"
        with gateway(other.url("grpc"), tmp_path / "two") as door:
            answer = httpx.post(f"{door.url}/predict/film", **sent)
    assert (answer.status_code, answer.json()["code"]) == (502, "broken_answer")
    kinds = {}
    for name in ("one", "two"):
        with sqlite3.connect(tmp_path / name / "audit.sqlite3") as database:
            lines = [json.loads(line) for (line,) in database.execute("SELECT line FROM audit_lines ORDER BY sequence")]
        kinds[name] = [(line["kind"], line["route"]) for line in lines]
    assert kinds == {"one": [("error", "canary"), ("answer", "")], "two": [("error", "")]}


def test_what_a_canary_cannot_show_the_own_server_does(triton: Live, tmp_path: Path) -> None:
    routes = tmp_path / "routes.toml"
    with listening(films()) as other:
        routes.write_text(
            f'[[route]]\nmodel = "chest_xray"\nname = "canary"\nurl = "{other.url("grpc")}"\nweight = 1.0\n'
        )
        with gateway(triton.grpc_url, tmp_path / "run", GATEWAY_ROUTES=str(routes)) as door, door.client() as client:
            sent = {"files": {"file": ("x.png", picture(1))}}
            answer = client.post("/predict/chest_xray?explain=seen", **sent)
    assert answer.status_code == 200, answer.text
    assert answer.json()["pictures"]["image"].startswith("data:image/png")
    assert answer.json()["echo"]  # the canary's


def test_nothing_told_that_is_not_recorded_and_no_flood_about_it(triton: Live, tmp_path: Path) -> None:
    with gateway(triton.grpc_url, tmp_path) as door, door.client() as client:
        assert client.post(f"/predict/{MODEL}", **SENT).status_code == 200
        for file in tmp_path.glob("audit.sqlite3*"):
            file.unlink()
        before = len(door.log())
        for _ in range(200):  # on one connection: an error that was foreseen ends none
            answer = client.post(f"/predict/{MODEL}", **SENT)
            assert (answer.status_code, answer.json()["code"]) == (503, "not_recorded")
            assert "X-Prediction-Id" not in answer.headers
        assert len(door.log()) - before < 2000
        assert "Traceback" not in door.log()


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        ({"AUDIT_KEY": "short"}, "AUDIT_KEY"),
        ({"AUDIT_URL": "mysql://elsewhere/x"}, "AUDIT_URL"),
        ({"AUDIT_URL": "sqlite:////nowhere/at/all/a.sqlite3"}, "audit"),
        ({"AUDIT_URL": "postgresql://nobody@127.0.0.1:1/x"}, "audit"),
        ({"GATEWAY_ROUTES": "/nowhere/routes.toml"}, "routes.toml"),
        ({"GATEWAY_SERVER": "ftp://x:1"}, "url"),
        ({"GATEWAY_PORT": "taken"}, "address"),
    ],
)
def test_a_start_that_fails_says_why_in_a_line_or_two(tmp_path: Path, said: dict[str, str], sentence: str) -> None:
    own = {"GATEWAY_PORT": str(free_ports(1)[0]), "AUDIT_URL": f"sqlite:///{tmp_path}/audit.sqlite3"} | said
    with socket.create_server(("127.0.0.1", 0)) as taken:
        if own["GATEWAY_PORT"] == "taken":
            own["GATEWAY_PORT"] = str(taken.getsockname()[1])
        found = subprocess.run(
            [sys.executable, "-m", "gateway"],
            cwd=ROOT,
            env=os.environ | own,
            capture_output=True,
            text=True,
            timeout=60,
        )
    assert found.returncode == 1, found.stderr
    assert sentence in found.stderr
    assert "Traceback" not in found.stderr
    assert len(found.stderr.splitlines()) <= 5, found.stderr
