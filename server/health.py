"""What probes and load balancers are told, on a port of its own: whether to restart this server, and whether to ask it.

GET /live     200, or 503: Triton no longer answers; a restart may help
GET /ready    200, or 503: some model is not READY, or the server starts or drains; JSON says which
GET /metrics  the same for Prometheus

Triton's own readiness is no such answer: it says READY over a model whose worker died, and until the moment at which a
stopping server refuses calls.
"""

from __future__ import annotations

import contextlib
import enum
import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import MappingProxyType

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from server.asking import get
from server.memory import held_bytes

LIVE_S = 5.0  # within which a server that works answers
READY_S = 2.0  # the same, before it gets more work
KEPT_S = 0.5  # an answer, so that many probes ask Triton no more often than one
SILENT_S = 10.0  # after which a prober that says nothing is left


class State(enum.Enum):
    """Of the launcher."""

    STARTING = "starting"
    SERVING = "serving"
    RESTARTING = "restarting"
    DRAINING = "draining"


class Health:
    """What is known of one server.

    `missing` holds the requested models that are not there yet, or will not be, each with the reason.

    Args:
        host: where Triton listens.
        port: of its HTTP.
        models: that must be READY.
        profile: that is served, for Prometheus.
        memory_mb: that it may hold.
        networks: network → (file, what runs it), of those that are loaded; the caller adds to it.
        clock: never goes back, in seconds.
        ask: sends Triton one request; see `server.asking.get`.
    """

    def __init__(
        self,
        host: str,
        port: int,
        models: Sequence[str],
        profile: str,
        memory_mb: int,
        networks: Mapping[str, tuple[str, str]] = MappingProxyType({}),
        *,
        clock: Callable[[], float] = time.monotonic,
        ask: Callable[[str, int, str, float], tuple[int, bytes]] = get,
    ) -> None:
        self.state = State.STARTING
        self.restarts = 0
        self.missing: dict[str, str] = {}
        self.profile, self.memory_mb = profile, memory_mb
        self.networks = networks
        self._triton = host, port
        self._clock, self._ask = clock, ask
        self._models = list(models)
        self._lock = threading.Lock()
        self._asked, self._found = float("-inf"), dict.fromkeys(self._models, False)

    def live(self) -> bool:
        """Whether it still does something: starts, drains, or answers."""
        return (
            self.state is not State.SERVING or self._ask(*self._triton, "/v2/health/live", LIVE_S)[0] == HTTPStatus.OK
        )

    def models(self) -> dict[str, bool]:
        """Which models would answer now, in a server that takes calls."""
        if self.state is not State.SERVING:
            return dict.fromkeys(self._models, False)
        with self._lock:
            if self._clock() - self._asked > KEPT_S:
                self._found = self._look()
                self._asked = self._clock()
            return dict(self._found)

    def _look(self) -> dict[str, bool]:
        found = dict.fromkeys(self._models, False)
        for model in self._models:
            status, _ = self._ask(*self._triton, f"/v2/models/{model}/ready", READY_S)
            if not status:  # nobody there, or frozen: nor will the others answer
                break
            found[model] = status == HTTPStatus.OK
        return found


class _Metrics(Collector):
    def __init__(self, health: Health) -> None:
        self._health = health

    def collect(self) -> Iterator[Metric]:
        models = GaugeMetricFamily("medserve_model_ready", "1: the model answers calls.", labels=["model"])
        found = self._health.models()
        for model, ready in found.items():
            models.add_metric([model], ready)
        yield models
        state = GaugeMetricFamily("medserve_state", "1: what the launcher is doing.", labels=["state", "profile"])
        for each in State:
            state.add_metric([each.value, self._health.profile], each is self._health.state)
        yield state
        networks = GaugeMetricFamily(
            "medserve_network", "1: what runs a network, and which file of it.", labels=["network", "file", "runtime"]
        )
        for network, (file, runtime) in list(self._health.networks.items()):
            networks.add_metric([network, file, runtime], 1)
        yield networks
        memory = GaugeMetricFamily("medserve_memory_bytes", "Memory that a part has written.", labels=["part"])
        for part, held in held_bytes().items():
            memory.add_metric([part], held)
        yield memory
        yield GaugeMetricFamily("medserve_memory_limit_bytes", "Memory there is.", self._health.memory_mb << 20)
        yield CounterMetricFamily("medserve_restarts", "Triton was started anew after a death.", self._health.restarts)


@contextlib.contextmanager
def told(health: Health, host: str, port: int) -> Iterator[None]:
    """Answer probes for as long as the block lasts.

    Raises:
        OSError: the port cannot be bound.
    """
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Metrics(health))
    server = ThreadingHTTPServer((host, port), _handler(health, registry))
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, name="health", daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()


def _handler(health: Health, registry: CollectorRegistry) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        timeout = SILENT_S

        def do_GET(self) -> None:
            path = self.path.partition("?")[0]
            if path == "/live":
                self._say(health.live(), {"state": health.state.value})
            elif path == "/ready":
                models = health.models()
                missing = {"missing": health.missing} if health.missing else {}
                self._say(all(models.values()), {"state": health.state.value, "models": models} | missing)
            elif path == "/metrics":
                self._send(HTTPStatus.OK, CONTENT_TYPE_LATEST, generate_latest(registry))
            else:
                self._send(HTTPStatus.NOT_FOUND, "text/plain", b"expected /live, /ready or /metrics\n")

        def _say(self, well: bool, told: object) -> None:
            status = HTTPStatus.OK if well else HTTPStatus.SERVICE_UNAVAILABLE
            self._send(status, "application/json", json.dumps(told).encode() + b"\n")

        def _send(self, status: HTTPStatus, kind: str, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            with contextlib.suppress(OSError):  # it did not wait
                self.wfile.write(body)

        def log_message(self, *_arguments: object) -> None:
            """Not each probe."""

    return Handler
