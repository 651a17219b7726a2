"""What fails beside the gateway: a server that hangs, a canary that is no server, an audit log that is gone."""

from __future__ import annotations

import os
import socket
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
from tests.gateway.running import gateway
from tests.serving.live import ROOT, Live

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


def test_nothing_told_that_is_not_recorded_and_no_flood_about_it(triton: Live, tmp_path: Path) -> None:
    with gateway(triton.grpc_url, tmp_path) as door, door.client() as client:
        assert client.post(f"/predict/{MODEL}", **SENT).status_code == 200
        for file in tmp_path.glob("audit.sqlite3*"):
            file.unlink()
        before = len(door.log())
        for _ in range(200):  # on one connection: an error that was foreseen ends none
            answer = client.post(f"/predict/{MODEL}", **SENT)
            assert (answer.status_code, answer.json()["code"]) == (503, "not_recorded")
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
