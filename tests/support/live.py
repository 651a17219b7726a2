"""A real server in its own process, started the way a user starts it."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
from prometheus_client.parser import text_string_to_metric_families

from benchmarks.ports import free_ports
from tests.support.checkout import ROOT

START_TIMEOUT_S = 120
TOLD_S = 2.5  # workers tell what they did once a second
PORTS = ("HTTP_PORT", "GRPC_PORT", "METRICS_PORT", "HEALTH_PORT")


@dataclass
class Live:
    """A running launcher and where it serves."""

    process: subprocess.Popen
    http: int
    grpc: int
    metrics: int
    health: int
    log: Path

    @property
    def grpc_url(self) -> str:
        return f"grpc://127.0.0.1:{self.grpc}"

    @property
    def http_url(self) -> str:
        return f"http://127.0.0.1:{self.http}"

    def text(self) -> str:
        return self.log.read_text("utf-8", errors="replace")

    def triton(self) -> psutil.Process:
        (server,) = psutil.Process(self.process.pid).children()
        return server

    def workers(self) -> dict[str, psutil.Process]:
        """Triton's worker processes by instance name, such as chest_xray_net_0_0."""
        return {worker.cmdline()[-2]: worker for worker in self.triton().children()}

    def wait_for(self, pattern: str, times: int = 1, timeout_s: float = START_TIMEOUT_S) -> None:
        deadline = time.monotonic() + timeout_s
        while len(re.findall(pattern, self.text())) < times:
            assert self.process.poll() is None, f"the server ended:\n{self.text()}"
            assert time.monotonic() < deadline, f"no {pattern!r} within {timeout_s} s:\n{self.text()}"
            time.sleep(0.1)

    def probe(self, path: str) -> Answer:
        """What a probe is told: /live, /ready or /metrics."""
        return self._asked(self.health, "GET", path)

    def request(self, method: str, path: str, body: bytes = b"", headers: dict[str, str] | None = None) -> Answer:
        return self._asked(self.http, method, path, body, headers)

    def _asked(
        self, port: int, method: str, path: str, body: bytes = b"", headers: dict[str, str] | None = None
    ) -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        try:
            connection.request(method, path, body=body, headers=headers or {})
            response = connection.getresponse()
            return Answer(response.status, response.read(), dict(response.getheaders()))
        finally:
            connection.close()

    def infer_raw(self, model: str, content: bytes) -> Answer:
        """What `curl --data-binary @file -H "Inference-Header-Content-Length: 0"` sends, its content type too."""
        headers = {"Inference-Header-Content-Length": "0", "Content-Type": "application/x-www-form-urlencoded"}
        return self.request("POST", f"/v2/models/{model}/infer", content, headers)

    def generate(self, model: str, /, **inputs: Any) -> Answer:
        return self.request("POST", f"/v2/models/{model}/generate", json.dumps(inputs).encode())

    def counts(self, model: str) -> tuple[int, int]:
        """(inferences, executions) of a model, from Triton's own statistics; of python models, what was handed over."""
        (stats,) = json.loads(self.request("GET", f"/v2/models/{model}/stats").body)["model_stats"]
        return int(stats["inference_count"]), int(stats["execution_count"])

    def queued(self, model: str) -> tuple[int, float]:
        """(requests, seconds that they waited in Triton's own queue) of a model so far."""
        (stats,) = json.loads(self.request("GET", f"/v2/models/{model}/stats").body)["model_stats"]
        waited = stats["inference_stats"]["queue"]
        return int(waited["count"]), int(waited["ns"]) / 1e9

    def workers_told(self) -> dict[tuple[str, str, str], float]:
        """What python models did, up to TOLD_S ago: (metric, model, reason, format or worker) → value."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.metrics}/metrics") as answer:
            text = answer.read().decode()
        told = {}
        for family in text_string_to_metric_families(text):
            for sample in family.samples if family.name.startswith("medserve_") else ():
                labels = sample.labels
                if "size" not in labels:
                    own = "".join(labels.get(name, "") for name in ("reason", "format", "worker"))
                    told[family.name, labels["model"], own] = sample.value
        return told

    def stop(self, number: int = signal.SIGTERM, timeout_s: float = 60) -> int:
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.process.wait(timeout_s)


@dataclass(frozen=True)
class Answer:
    status: int
    body: bytes
    headers: dict[str, str]

    def json(self) -> Any:
        return json.loads(self.body)


@contextmanager
def serving(repository: Path, folder: Path, *, wait: bool = True, **variables: str) -> Iterator[Live]:
    """Run `python -m server` on free ports; ends it, whatever the test did."""
    folder.mkdir(parents=True, exist_ok=True)
    ports = dict(zip(PORTS, free_ports(4), strict=True))
    ports |= {name: int(variables[name]) for name in ports if name in variables}
    environment = os.environ | {name: str(port) for name, port in ports.items()} | {"MODELS": "all"} | variables
    log = folder / "server.log"
    with log.open("w") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "server", "--repository", str(repository), "--runtime", str(folder / "run")],
            cwd=ROOT,
            env=environment,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    live = Live(process, *ports.values(), log)
    try:
        if wait:
            live.wait_for("^READY|\nREADY")
        yield live
    finally:
        live.stop()
