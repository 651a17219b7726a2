"""gRPC for threads: one channel, which any number of threads may use at once."""

from __future__ import annotations

import threading

import grpc
from tritonclient.grpc import service_pb2_grpc

from medserve.address import Address
from medserve.calls import Arrays, Call
from medserve.errors import MedServeError, closed
from medserve.transports.channel import OPTIONS, Line, credentials, error_of, metadata
from medserve.wire.grpc import arrays, message, method


class GrpcTransport:
    """See `medserve.calls.Transport`.

    Args:
        address: of the server.

    Raises:
        OSError: a TLS file that cannot be read.
    """

    def __init__(self, address: Address) -> None:
        self._address = address
        self._metadata = metadata(address)
        self._credentials = credentials(address.tls) if address.encrypted else None
        self._lock = threading.Lock()
        self._closed = False
        self._line = self._opened()

    def send(self, call: Call, timeout_s: float) -> Arrays:
        """The answer; the server cancels what is abandoned."""
        line, request = self._begun(call), message(call, timeout_s)
        error: MedServeError | None = None
        try:
            found = getattr(line.stub, method(call))(request, timeout=timeout_s, metadata=self._metadata)
        except (grpc.RpcError, ValueError) as exc:  # ValueError: the channel was closed before the call began
            if self._closed or isinstance(exc, ValueError):
                raise closed(call.where) from exc
            error = error_of(exc, call, timeout_s)
            raise error from exc
        finally:
            self._ended(line, error)
        return arrays(call, found)

    def close(self) -> None:
        """Ends the calls that are under way. May be called twice."""
        with self._lock:
            self._closed = True
            self._line.channel.close()

    def _opened(self) -> Line:
        channel = (
            grpc.secure_channel(self._address.netloc, self._credentials, OPTIONS)
            if self._credentials is not None
            else grpc.insecure_channel(self._address.netloc, OPTIONS)
        )
        return Line(channel, service_pb2_grpc.GRPCInferenceServiceStub(channel))

    def _begun(self, call: Call) -> Line:
        with self._lock:
            if self._closed:
                raise closed(call.where)
            self._line.calls += 1
            return self._line

    def _ended(self, line: Line, error: MedServeError | None) -> None:
        with self._lock:
            line.ended(error)
            if line is self._line and line.dead and not self._closed:
                self._line = self._opened()
            if line is not self._line and not line.calls:
                line.channel.close()
