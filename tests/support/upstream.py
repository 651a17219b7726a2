"""A stand-in for a server behind the proxy, in a process of its own that can be killed: gRPC and probes, no models.

python -m tests.support.upstream NAME GRPC_PORT HEALTH_PORT

The first word of a request says what to do: "answer", "refuse" as an overloaded server does, "sleep" for the seconds
that follow, or "hold" until the process gets SIGUSR1. The response is the name; each request is written to stdout.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import grpc

from benchmarks.ports import free_ports
from server.asking import get
from tests.support.checkout import ROOT
from tests.support.clock import until

METHOD = "/inference.GRPCInferenceService/ModelInfer"


@dataclass
class Stand:
    """A running one."""

    name: str
    grpc: int
    health: int
    process: subprocess.Popen
    log: Path
    http: int = field(default=1)  # nobody is there

    def asked(self) -> list[str]:
        """Return the requests so far, a line each."""
        return self.log.read_text().split("\n")[:-1]

    def release(self) -> None:
        """Let the calls that it holds be answered, and hold no more."""
        self.process.send_signal(signal.SIGUSR1)


@contextmanager
def standing(name: str, folder: Path) -> Iterator[Stand]:
    """Run one on free ports."""
    folder.mkdir(parents=True, exist_ok=True)
    port, health = free_ports(2)
    log = folder / f"{name}.log"
    with log.open("w") as output:
        command = [sys.executable, "-m", __spec__.name, name, str(port), str(health)]
        process = subprocess.Popen(command, cwd=ROOT, stdout=output)
    try:
        until(lambda: get("127.0.0.1", health, "/ready", 1)[0] == 200, f"{name} to be ready", log.read_text)
        yield Stand(name, port, health, process, log)
    finally:
        process.kill()
        process.wait()


class _Handler(grpc.GenericRpcHandler):
    def __init__(self, name: str) -> None:
        self._name = name
        self._released = threading.Event()
        signal.signal(signal.SIGUSR1, lambda *_: self._released.set())

    def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler:
        return grpc.unary_unary_rpc_method_handler(self._answer)

    def _answer(self, request: bytes, context: grpc.ServicerContext) -> bytes:
        words = request[:40].decode().split()
        print(*words, flush=True)
        if words[0] == "refuse":
            context.abort(grpc.StatusCode.UNAVAILABLE, "Exceeds maximum queue size")
        if words[0] == "sleep":
            time.sleep(float(words[1]))
        if words[0] == "hold":
            self._released.wait()
        return self._name.encode()


class _Ready(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Not each probe."""


def main(name: str, port: str, health: str) -> None:
    options = [("grpc.max_receive_message_length", -1), ("grpc.http2.max_ping_strikes", 0)]
    server = grpc.server(ThreadPoolExecutor(32), handlers=[_Handler(name)], options=options)
    server.add_insecure_port(f"127.0.0.1:{port}")
    server.start()
    probes = ThreadingHTTPServer(("127.0.0.1", int(health)), _Ready)
    threading.Thread(target=probes.serve_forever, daemon=True).start()
    server.wait_for_termination()


if __name__ == "__main__":
    main(*sys.argv[1:])
