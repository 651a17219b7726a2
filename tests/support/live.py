"""A real server in its own process, started the way a user starts it."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from benchmarks.ports import free_ports
from tests.support.checkout import ROOT
from tests.support.clock import HANG_S, until

WAITING = "medserve_worker_waiting"
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

    def wait_for(self, pattern: str, times: int = 1) -> None:
        """Return when the launcher has logged the pattern so many times."""

        def logged() -> bool:
            assert self.process.poll() is None, f"the server ended:\n{self.text()}"
            return len(re.findall(pattern, self.text())) >= times

        until(logged, f"{pattern!r} in the log", self.text)

    def waiting(self, model: str) -> int:
        """Requests in the queues of a python model's workers, up to a second ago."""
        found = self.worker_metrics()
        return int(sum(n for (metric, name, _), n in found.items() if (metric, name) == (WAITING, model)))

    def shared_memory_bytes(self) -> int:
        """Bytes of this server's own files in /dev/shm."""
        return sum(file.stat().st_size for file in Path("/dev/shm").glob(f"medserve-{self.process.pid}-*"))

    def probe(self, path: str) -> Answer:
        """What a probe is told: /live, /ready or /metrics."""
        return self._asked(self.health, "GET", path)

    def request(self, method: str, path: str, body: bytes = b"", headers: dict[str, str] | None = None) -> Answer:
        return self._asked(self.http, method, path, body, headers)

    def _asked(
        self, port: int, method: str, path: str, body: bytes = b"", headers: dict[str, str] | None = None
    ) -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=HANG_S)
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

    def metric_samples(self, prefix: str) -> Iterator[Sample]:
        """Triton's own metrics and its workers', of names that begin so."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.metrics}/metrics", timeout=HANG_S) as response:
            text = response.read().decode()
        for family in text_string_to_metric_families(text):
            if family.name.startswith(prefix):
                yield from family.samples

    def worker_metrics(self) -> dict[tuple[str, str, str], float]:
        """What python models counted, up to a second ago: (metric, model, reason, format or worker) → value."""
        found = {}
        for sample in self.metric_samples("medserve_"):
            labels = sample.labels
            if "size" not in labels:
                own = "".join(labels.get(name, "") for name in ("reason", "format", "worker"))
                found[sample.name.removesuffix("_total"), labels["model"], own] = sample.value
        return found

    def batch_sizes(self, model: str) -> dict[int, int]:
        """Runs of a python model by how many items were in them, up to a second ago."""
        samples = self.metric_samples("medserve_worker_batches")
        return {int(one.labels["size"]): int(one.value) for one in samples if one.labels["model"] == model}

    def wait_for_metrics(self, sufficient: Callable[[dict[tuple[str, str, str], float]], bool]) -> dict:
        """The worker metrics, once they say so: workers publish what they counted once a second."""
        found: dict[tuple[str, str, str], float] = {}

        def read() -> bool:
            found.clear()
            found.update(self.worker_metrics())
            return sufficient(found)

        until(read, "the workers' metrics", lambda: str(found))
        return found

    def stop(self, number: int = signal.SIGTERM, timeout_s: float = HANG_S) -> int:
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
