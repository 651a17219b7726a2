"""A FakeServer behind real gRPC and HTTP ports, with TLS if need be, and a proxy that does harm on the way."""

from __future__ import annotations

import json
import socket
import ssl
import struct
import threading
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import grpc
import numpy as np
from tritonclient.grpc import service_pb2 as pb
from tritonclient.grpc import service_pb2_grpc

from medserve.calls import DTYPES, Ask, Infer, Tensor
from medserve.errors import MedServeError
from medserve.testing import FakeModel, FakeServer

HTTP_STATUS = {"NOT_FOUND": 404, "UNAVAILABLE": 503, "INVALID_ARGUMENT": 400, "400": 400}


def films() -> FakeServer:
    """One classifier that answers with what it was sent, so that nobody's answer can be taken for another's."""
    return FakeServer(
        {
            "chest_xray": FakeModel(
                labels=("Normal", "COVID-19"),
                probabilities=(0.25, 0.75),
                heatmap=np.full((7, 7), 0.5, np.float32),
                answering=lambda sent: {"echo": sent["image"].hex()},
            )
        }
    )


@dataclass
class Ports:
    """Where a stub listens, and what it saw."""

    grpc: int
    http: int
    seen_headers: list[Mapping[str, str]] = field(default_factory=list)

    def url(self, scheme: str, host: str = "127.0.0.1") -> str:
        return f"{scheme}://{host}:{self.grpc if scheme.startswith('grpc') else self.http}"


@dataclass(frozen=True)
class Certificates:
    """PEM bytes of a server, and of the authority that its callers must be signed by; None: anyone may call."""

    key: bytes
    chain: bytes
    callers: bytes | None = None


@contextmanager
def listening(server: FakeServer, certificates: Certificates | None = None) -> Iterator[Ports]:
    """Serve on free ports until the end of the block."""
    ports = Ports(0, 0)
    with _grpc(server, certificates, ports), _http(server, certificates, ports):
        yield ports


@contextmanager
def _grpc(server: FakeServer, certificates: Certificates | None, ports: Ports) -> Iterator[None]:
    class Servicer(service_pb2_grpc.GRPCInferenceServiceServicer):
        def ServerLive(self, request, context):  # noqa: N802
            return pb.ServerLiveResponse(live=_ask(context, Ask("live")))

        def ServerReady(self, request, context):  # noqa: N802
            return pb.ServerReadyResponse(ready=_ask(context, Ask("ready")))

        def ModelReady(self, request, context):  # noqa: N802
            return pb.ModelReadyResponse(ready=_ask(context, Ask("model_ready", request.name)))

        def ModelInfer(self, request, context):  # noqa: N802
            ports.seen_headers.append(dict(context.invocation_metadata()))
            tensors = tuple(
                Tensor(each.name, each.datatype, tuple(each.shape), raw)
                for each, raw in zip(request.inputs, request.raw_input_contents, strict=True)
            )
            call = Infer(request.model_name, tensors, tuple(output.name for output in request.outputs))
            answer = pb.ModelInferResponse(model_name=request.model_name, id=request.id)
            for name, array in _sent(context, call).items():
                datatype, raw = raw_of(array)
                answer.outputs.add(name=name, datatype=datatype, shape=array.shape)
                answer.raw_output_contents.append(raw)
            return answer

    def _ask(context, question: Ask) -> bool:
        return bool(_sent(context, question)["answer"][0])

    def _sent(context, call):
        try:
            return server.send(call, 1.0)
        except MedServeError as exc:
            name = "INVALID_ARGUMENT" if exc.status == "400" else exc.status or "UNAVAILABLE"
            context.abort(grpc.StatusCode[name], str(exc))

    running = grpc.server(ThreadPoolExecutor(16))
    service_pb2_grpc.add_GRPCInferenceServiceServicer_to_server(Servicer(), running)
    if certificates:
        credentials = grpc.ssl_server_credentials(
            [(certificates.key, certificates.chain)], certificates.callers, certificates.callers is not None
        )
        ports.grpc = running.add_secure_port("127.0.0.1:0", credentials)
    else:
        ports.grpc = running.add_insecure_port("127.0.0.1:0")
    running.start()
    try:
        yield
    finally:
        running.stop(None).wait()


@contextmanager
def _http(server: FakeServer, certificates: Certificates | None, ports: Ports) -> Iterator[None]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            *_, model, question = ("", *self.path.split("/"))
            call = Ask("model_ready", model) if "models" in self.path else Ask(question)  # type: ignore[arg-type]
            self._answer(call, lambda arrays: (200 if arrays["answer"][0] else 400, {}, b""))

        def do_POST(self) -> None:
            ports.seen_headers.append({name.lower(): value for name, value in self.headers.items()})
            body = self.rfile.read(int(self.headers["Content-Length"]))
            place = int(self.headers["Inference-Header-Content-Length"])
            asked, tensors = json.loads(body[:place]), []
            for each in asked["inputs"]:
                size = each["parameters"]["binary_data_size"]
                tensors.append(Tensor(each["name"], each["datatype"], tuple(each["shape"]), body[place : place + size]))
                place += size
            call = Infer(self.path.split("/")[3], tuple(tensors), tuple(each["name"] for each in asked["outputs"]))
            self._answer(call, lambda arrays: encoded(arrays, asked["id"]))

        def _answer(self, call, encode) -> None:
            try:
                status, headers, body = encode(server.send(call, 1.0))
            except MedServeError as exc:
                status, headers = HTTP_STATUS[exc.status or "UNAVAILABLE"], {}
                body = json.dumps({"error": str(exc)}).encode()
            self.send_response(status)
            for name, value in (headers | {"Content-Length": str(len(body))}).items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Nothing."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_: object) -> None:
            """Callers that hang up are what is tested."""

    running = Server(("127.0.0.1", 0), Handler)
    if certificates:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        _load(context, certificates)
        running.socket = context.wrap_socket(running.socket, server_side=True, do_handshake_on_connect=False)
    ports.http = running.server_address[1]
    thread = threading.Thread(target=running.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield
    finally:
        running.shutdown()
        running.server_close()
        thread.join()


def _load(context: ssl.SSLContext, certificates: Certificates) -> None:
    import tempfile

    with tempfile.NamedTemporaryFile() as file:
        file.write(certificates.key + certificates.chain)
        file.flush()
        context.load_cert_chain(file.name)
    if certificates.callers is not None:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(cadata=certificates.callers.decode())


def raw_of(array: np.ndarray) -> tuple[str, bytes]:
    """An array as Triton sends it."""
    if array.dtype == np.object_:
        return "BYTES", b"".join(struct.pack("<I", len(each)) + each for each in array.ravel())
    return next(name for name, dtype in DTYPES.items() if dtype == array.dtype), array.tobytes()


def encoded(arrays: Mapping[str, np.ndarray], identity: str) -> tuple[int, dict[str, str], bytes]:
    outputs: list[dict[str, Any]] = []
    parts = []
    for name, array in arrays.items():
        datatype, raw = raw_of(array)
        size = {"binary_data_size": len(raw)}
        outputs.append({"name": name, "datatype": datatype, "shape": array.shape, "parameters": size})
        parts.append(raw)
    head = json.dumps({"id": identity, "outputs": outputs}).encode()
    return 200, {"Inference-Header-Content-Length": str(len(head))}, head + b"".join(parts)


@contextmanager
def proxy(target: int, harm: str, forgotten: threading.Event | None = None) -> Iterator[int]:
    """A TCP proxy to a port of this machine, which does one kind of harm to every connection.

    Args:
        target: port.
        harm: "reset": hang up when the caller has spoken; "half_open": take everything, answer nothing; "truncate":
            pass 60 bytes of what comes back; "drip": pass one byte each 50 ms; "storm": answer 503 to all;
            "forgets": pass everything until `forgotten` is set, from then on nothing on connections of before.
        forgotten: see "forgets".
    """
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(0.05)
    ending = threading.Event()
    open_: list[socket.socket] = []

    def accept() -> None:
        while not ending.is_set():
            try:
                caller, _ = listener.accept()
            except (TimeoutError, OSError):
                continue
            open_.append(caller)
            threading.Thread(target=serve, args=(caller,), daemon=True).start()

    def serve(caller: socket.socket) -> None:
        try:
            if harm == "half_open":
                while caller.recv(65536):
                    pass
            elif harm == "reset":
                caller.recv(65536)
                caller.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                caller.close()
            elif harm == "storm":
                while caller.recv(65536):
                    caller.sendall(b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 4\r\n\r\nbusy")
            else:
                server = socket.create_connection(("127.0.0.1", target))
                open_.append(server)
                threading.Thread(target=forward, args=(caller, server), daemon=True).start()
                hurt(server, caller)
        except OSError:
            pass

    def forward(source: socket.socket, sink: socket.socket) -> None:
        born = forgotten is not None and forgotten.is_set()
        try:
            while content := source.recv(65536):
                if forgotten is None or forgotten.is_set() == born:
                    sink.sendall(content)
        except OSError:
            pass

    def hurt(server: socket.socket, caller: socket.socket) -> None:
        if harm == "forgets":
            forward(server, caller)
            return
        left = 60
        while not ending.is_set() and (content := server.recv(65536)):
            if harm == "truncate":
                caller.sendall(content[:left])
                left -= len(content)
                if left <= 0:
                    caller.shutdown(socket.SHUT_RDWR)
                    return
            else:
                for byte in content:
                    caller.sendall(bytes([byte]))
                    time.sleep(0.05)

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        ending.set()
        thread.join()
        for each in (listener, *open_):
            each.close()
