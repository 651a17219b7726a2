"""One running tritonserver: start, readiness, drain, end."""

from __future__ import annotations

import contextlib
import json
import re
import resource
import secrets
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import IO

import psutil

from server.asking import get, send
from server.installation import Installation, environment
from server.machine import SHM
from server.publisher import end_with_parent

DRAIN_TIMEOUT_S = 30  # how long requests in flight may take to end
READY_TIMEOUT_S = 600  # large weights from a network file system, with nothing in the page cache
POLL_S = 0.5
ASK_S = 5.0
# Triton 2.51's HTTP library parses every body whose type is a form's, which is what curl says unless told
# otherwise, and copies it twice onto its thread's stack: with the usual 8 MiB, an 8 MB picture kills the
# server (measured). Address space, not memory: pages are used only by such a body.
STACK_BYTES = 256 << 20
# This Triton is built for GPUs and says so of a machine without one, as errors. They are none.
_HARMLESS = re.compile(
    r"CUDA driver version is insufficient|CudaDriverHelper has not been initialized|no pinned memory pool|^Signal "
    r"|Non-graceful termination detected"
)
_KEY_HEADER = "medserve"


class TritonError(RuntimeError):
    """tritonserver ended, or did not become ready."""


class LoadError(RuntimeError):
    """A model that a running tritonserver could not load; the others are not affected."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where the server listens."""

    host: str
    http: int
    grpc: int
    metrics: int


class Triton:
    """A child process that dies with this one, however this one dies.

    Args:
        installation: where the program is.
        repository: folder of models.
        backends: Triton's backend directory.
        cache: folder for compiled models.
        tag: names this run's shared-memory files.
        address: to listen on.
        profile: that the repository is laid out for, as reports name it.
        verbose: also Triton's informational log.
        loads: models to load at the start; more can follow with `load`. None: every model in the folder, and no
            others later.
        complete_configs: let backends fill in what a config leaves out. MedServe's own configs are
            whole: there a gap is an error, not something to guess.
    """

    def __init__(
        self,
        installation: Installation,
        repository: Path,
        backends: Path,
        cache: Path,
        tag: str,
        address: Address,
        *,
        profile: str = "",
        loads: Sequence[str] | None = None,
        verbose: bool = False,
        complete_configs: bool = False,
    ) -> None:
        self._address = address
        self._tag = tag
        self._key = secrets.token_hex(16)
        self._process = subprocess.Popen(
            [
                str(installation.server),
                *_arguments(
                    repository,
                    backends,
                    tag,
                    address,
                    self._key,
                    loads,
                    verbose=verbose,
                    gpu_metrics=installation.image and installation.gpus,
                ),
                *([] if complete_configs else ["--disable-auto-complete-config"]),
            ],
            env=environment(installation, cache, profile),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,  # a Ctrl-C at the terminal reaches the launcher alone
            preexec_fn=_before_exec,
        )
        self._workers: list[psutil.Process] = []
        self._log = threading.Thread(target=_relay, args=(self._process.stdout, verbose), daemon=True)
        self._log.start()

    @property
    def pid(self) -> int:
        return self._process.pid

    def wait_until_ready(self, models: Sequence[str], progress: Callable[[str], None]) -> None:
        """Return when every model is READY, not the server alone.

        Args:
            models: by name.
            progress: gets each model's name as it becomes ready.

        Raises:
            TritonError: the server ended, or not all were ready within READY_TIMEOUT_S.
        """
        deadline = time.monotonic() + READY_TIMEOUT_S
        waiting = list(models)
        while waiting or not self._answers("/v2/health/ready"):
            self._check_alive()
            if time.monotonic() > deadline:
                raise TritonError(f"not ready after {READY_TIMEOUT_S} s: {', '.join(waiting)}; see Triton's log above")
            if not self._is_ours():
                time.sleep(POLL_S)
                continue
            for model in [name for name in waiting if self._answers(f"/v2/models/{name}/ready")]:
                waiting.remove(model)
                progress(model)
            time.sleep(0.1)
        self._adopt_workers()

    def load(self, models: Sequence[str]) -> None:
        """Load further models, in this order, and return when each is READY. It must have been started with `loads`.

        Raises:
            LoadError: Triton rejected one; the message names it.
        """
        for model in models:
            path = f"/v2/repository/models/{model}/load"
            address = self._address
            headers = {_KEY_HEADER: self._key}
            status, body = send("POST", address.host, address.http, path, READY_TIMEOUT_S, headers)
            if status != HTTPStatus.OK:
                raise LoadError(f"{model}: {_reason(body)}")
        self._adopt_workers()

    def trouble(self) -> str:
        """A sentence about the server or the worker that has died; "" while all live.

        Triton 2.51 starts a dead worker no second time and still calls its model READY, so that every
        request to it fails: a dead worker is a dead server.
        """
        status = self._process.poll()
        if status is not None:
            return f"tritonserver ended by itself ({_meaning(status)})"
        self._close_shared_memory()  # of a worker that Triton started late, too
        return next((f"worker {worker.pid} died" for worker in self._workers if not _lives(worker)), "")

    def metrics(self) -> str:
        """In Prometheus's text; "" where it does not answer."""
        return get(self._address.host, self._address.metrics, "/metrics", ASK_S)[1].decode("utf-8", "replace")

    def drain(self, timeout_s: float) -> None:
        """Stop taking requests, let those in flight end, and end the server; kill what does not end."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout_s)
        self.kill()

    def kill(self) -> None:
        """End the server at once, if it has not ended, and pass on the last of its log."""
        self._process.kill()
        self._process.wait()
        self._log.join(timeout=1)  # a worker that outlives the server holds the pipe open

    def _adopt_workers(self) -> None:
        """Watch the workers that are new, and close their shared memory to other users."""
        with contextlib.suppress(psutil.NoSuchProcess):  # the server died: `trouble` reports it
            known = {worker.pid for worker in self._workers}
            children = psutil.Process(self._process.pid).children()
            self._workers += [worker for worker in children if worker.pid not in known]
        self._close_shared_memory()

    def _close_shared_memory(self) -> None:
        """Triton opens its shared memory to every user, whatever the umask; what callers send lies there."""
        for region in SHM.glob(f"{self._tag}-*"):
            with contextlib.suppress(FileNotFoundError):
                region.chmod(0o600)

    def _check_alive(self) -> None:
        status = self._process.poll()
        if status is not None:
            raise TritonError(f"tritonserver ended with status {status} while loading; see its log above")

    def _is_ours(self) -> bool:
        """Whether it is this process that answers there, and not another server with the same port."""
        return f'"name":"{self._tag}"'.encode() in self._get("/v2")[1]

    def _answers(self, path: str) -> bool:
        return self._get(path)[0] == 200

    def _get(self, path: str) -> tuple[int, bytes]:
        return get(self._address.host, self._address.http, path, ASK_S)


def _arguments(
    repository: Path,
    backends: Path,
    tag: str,
    address: Address,
    key: str = "",
    loads: Sequence[str] | None = None,
    *,
    verbose: bool,
    gpu_metrics: bool,
) -> list[str]:
    settings: Mapping[str, object] = {
        "id": tag,
        "model-repository": repository,
        "backend-directory": backends,
        "http-address": address.host,
        "http-port": address.http,
        "grpc-address": address.host,
        "grpc-port": address.grpc,
        "metrics-address": address.host,
        "metrics-port": address.metrics,
        # Callers load and unload nothing: the launcher alone has the key, and needs it only while models are published.
        "model-control-mode": "none" if loads is None else "explicit",
        "strict-readiness": "true",
        "exit-on-error": "true",
        "exit-timeout-secs": DRAIN_TIMEOUT_S,
        "allow-gpu-metrics": str(gpu_metrics).lower(),
        "grpc-http2-max-ping-strikes": 0,  # a proxy's pings find a frozen server; gRPC would hang up on who sends them
        "metrics-config": "summary_latencies=true",  # quantiles: the means that it tells by itself hide the slow calls
        "log-info": str(verbose).lower(),
    }
    arguments = [f"--{name}={value}" for name, value in settings.items()]
    # What a caller has no business with. In shared memory lie the pictures of others.
    closed = "shared-memory,model-repository,logging,trace"
    flags = ("http-restricted-api", "grpc-restricted-protocol")
    arguments += [f"--{flag}={closed}:{_KEY_HEADER}={key}" for flag in flags]
    arguments += [f"--load-model={name}" for name in loads or ()]
    arguments += [f"--backend-config={name},shm-region-prefix-name={tag}-" for name in ("python", "onnxruntime")]
    return arguments


def _before_exec() -> None:
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a core holds what callers sent
    end_with_parent()  # by SIGTERM rather than SIGKILL: the server then ends its workers and removes its files
    _, hard = resource.getrlimit(resource.RLIMIT_STACK)
    wanted = STACK_BYTES if hard == resource.RLIM_INFINITY else min(STACK_BYTES, hard)
    resource.setrlimit(resource.RLIMIT_STACK, (wanted, hard))


def _lives(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _relay(log: IO[str], verbose: bool) -> None:
    """Pass Triton's log on, without what is known to mean nothing here."""
    with log:
        for line in log:
            if verbose or not _HARMLESS.search(line):
                sys.stderr.write(line)
                sys.stderr.flush()


def _reason(body: bytes) -> str:
    """The sentence in Triton's response."""
    try:
        return str(json.loads(body)["error"])
    except (ValueError, KeyError, TypeError):
        return body.decode("utf-8", "replace") or "no response"


def _meaning(status: int) -> str:
    return f"signal {-status}" if status < 0 else f"status {status}"
