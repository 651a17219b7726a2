"""A gateway before a server that hangs, and starts that fail."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from benchmarks.ports import free_ports
from tests.support.checkout import ROOT
from tests.support.gateway_process import gateway


def test_nobody_waits_in_line_for_a_server_that_hangs(tmp_path: Path) -> None:
    def ask(number: int) -> int:
        with door.client() as client:
            sent = {"json": {"smiles": "CCO"}}
            return (client.get("/model-info") if number % 2 else client.post("/predict/solubility", **sent)).status_code

    with socket.create_server(("127.0.0.1", 0)) as deaf:
        server = f"grpc://127.0.0.1:{deaf.getsockname()[1]}"
        with gateway(server, tmp_path, GATEWAY_TIMEOUT_S="2") as door:
            with ThreadPoolExecutor(12) as callers:
                asking = [callers.submit(ask, number) for number in range(12)]
                assert httpx.get(f"{door.url}/drift", timeout=120).json()["models"] == {}
            assert {one.result() for one in asking} == {504}


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        ({"AUDIT_URL": "sqlite:////nowhere/at/all/a.sqlite3"}, "audit"),
        ({"AUDIT_URL": "postgresql://nobody@127.0.0.1:1/x"}, "audit"),
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
        )
    assert found.returncode == 1, found.stderr
    assert sentence in found.stderr
    assert "Traceback" not in found.stderr
    assert len(found.stderr.splitlines()) <= 5, found.stderr
