"""A server of a benchmark's own: `python -m server` on free ports, for as long as a block lasts."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import psutil

from benchmarks.ports import free_ports
from medserve import Client
from server.memory import kept_bytes

READY_S, STOP_S = 300.0, 60.0
STEP_BACK = 6  # of nice's units: a quarter of the usual weight


class ServerEnded(RuntimeError):
    """It did not become ready; the message ends with its log's last lines."""


class Server:
    """Starts on entering the block, ends on leaving it.

    Args:
        repository: to serve.
        folder: for its log and its runtime files.
        models: names; none: all that a server serves unless told otherwise.
        options: further arguments of `python -m server`.
    """

    def __init__(self, repository: Path, folder: Path, models: Sequence[str] = (), options: Sequence[str] = ()) -> None:
        self.http, self.grpc, self.metrics, self.health = free_ports(4)
        self._models = list(models)
        self._command = [sys.executable, "-m", "server", "--repository", str(repository), "--models", ",".join(models)]
        self._command += ["--runtime", str(folder / "run"), "--http-port", str(self.http)]
        self._command += ["--grpc-port", str(self.grpc), "--metrics-port", str(self.metrics)]
        self._command += ["--health-port", str(self.health), *options]
        self._log = folder / "server.log"
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def grpc_url(self) -> str:
        return f"grpc://127.0.0.1:{self.grpc}"

    @property
    def http_url(self) -> str:
        return f"http://127.0.0.1:{self.http}"

    @property
    def pid(self) -> int:
        """Of the launcher."""
        if self._process is None:
            raise ServerEnded("server: expected one that was started")
        return self._process.pid

    def start(self) -> None:
        """Does not wait until it is ready."""
        with self._log.open("a") as log:
            self._process = subprocess.Popen(self._command, stdout=log, stderr=log, start_new_session=True)

    def stop(self) -> None:
        """Gracefully, and then at all events."""
        if self._process is None:
            return
        family = _family(self._process.pid)
        self._process.send_signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(STOP_S)
        for left in family:
            with contextlib.suppress(psutil.NoSuchProcess):
                left.kill()
        self._process.wait()

    def wait_until_ready(self) -> None:
        """Raises ServerEnded: it ended, or READY_S passed."""
        deadline = time.monotonic() + READY_S
        while not self._ready():
            if self._process is None or self._process.poll() is not None or time.monotonic() > deadline:
                lines = self._log.read_text("utf-8", "replace").splitlines()
                raise ServerEnded("server: expected it to become ready:\n" + "\n".join(lines[-20:]))
            time.sleep(0.2)

    def step_back(self) -> None:
        """Leave the cores to the load generator wherever both want them.

        A generator that waits for a core sends late and hears late, and reports that as the server's latency. Linux
        weighs sessions against each other (sched(7), autogroup), and niceness counts only inside one; where it does
        not, or there is no such file, nothing changes.
        """
        for process in _family(self.pid):  # Triton has a session of its own, which its workers are in
            with contextlib.suppress(OSError):
                Path(f"/proc/{process.pid}/autogroup").write_text(str(STEP_BACK), "ascii")

    def cpu_s(self) -> dict[str, float]:
        """CPU seconds so far of each of its processes, by what it does."""
        found = {}
        for process in psutil.Process(self.pid).children(recursive=True):
            try:
                words, times = process.cmdline(), process.cpu_times()
            except psutil.NoSuchProcess:
                continue
            worker = any("stub" in word for word in words[:1])
            found[words[-2] if worker else "tritonserver"] = times.user + times.system
        return found

    def memory_mb(self) -> float:
        """Of all its processes: see `kept_bytes`."""
        return sum(kept_bytes(process.pid) for process in _family(self.pid)) / 1e6

    def _ready(self) -> bool:
        with Client(self.grpc_url) as client:
            health = client.health(timeout_s=5)
        return health.ready and all(health.models.get(model, False) for model in self._models)


def _family(root: int) -> list[psutil.Process]:
    """A process and all below it; none, if it has ended."""
    try:
        own = psutil.Process(root)
        return [own, *own.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []
