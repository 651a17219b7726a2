"""A gateway in its own process, started as a user starts it, before a live server."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from benchmarks.ports import free_ports
from tests.support.checkout import ROOT
from tests.support.clock import HANG_S, until


@dataclass
class Running:
    """A gateway that listens."""

    process: subprocess.Popen
    url: str
    folder: Path

    def log(self) -> str:
        return (self.folder / "gateway.log").read_text("utf-8", errors="replace")

    def client(self, **arguments: object) -> httpx.Client:
        return httpx.Client(base_url=self.url, timeout=120, **arguments)


@contextmanager
def gateway(server: str, folder: Path, **variables: str) -> Iterator[Running]:
    """Run `python -m gateway`; ends it, whatever the test did.

    Args:
        server: URL of a live one.
        folder: for its log and its audit log.
        variables: of its environment besides.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (port,) = free_ports(1)
    own = {"GATEWAY_SERVER": server, "GATEWAY_PORT": str(port), "AUDIT_URL": f"sqlite:///{folder}/audit.sqlite3"}
    with (folder / "gateway.log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "gateway"], cwd=ROOT, env=os.environ | own | variables, stdout=log, stderr=log
        )
    running = Running(process, f"http://127.0.0.1:{port}", folder)
    try:
        _wait(running)
        yield running
    finally:
        process.terminate()
        process.wait()


def _wait(running: Running) -> None:
    def listens() -> bool:
        assert running.process.poll() is None, running.log()
        try:
            httpx.get(f"{running.url}/", timeout=HANG_S)
        except httpx.ConnectError:
            return False
        return True

    until(listens, "the gateway to listen", running.log)
