"""gRPC for threads: one channel, which any number of threads may use at once."""

from __future__ import annotations

import grpc
from tritonclient.grpc import service_pb2_grpc

from medserve.address import Address
from medserve.calls import Arrays, Call
from medserve.errors import ClientClosed
from medserve.transports.channel import OPTIONS, credentials, error_of, metadata
from medserve.wire.grpc import arrays, message, method


class GrpcTransport:
    """See `medserve.calls.Transport`.

    Args:
        address: of the server.

    Raises:
        OSError: a TLS file that cannot be read.
    """

    def __init__(self, address: Address) -> None:
        self._metadata = metadata(address)
        self._channel = (
            grpc.secure_channel(address.netloc, credentials(address.tls), OPTIONS)
            if address.encrypted
            else grpc.insecure_channel(address.netloc, OPTIONS)
        )
        self._stub = service_pb2_grpc.GRPCInferenceServiceStub(self._channel)

    def send(self, call: Call, timeout_s: float) -> Arrays:
        """The answer; the server cancels what is abandoned."""
        try:
            found = getattr(self._stub, method(call))(
                message(call, timeout_s), timeout=timeout_s, metadata=self._metadata
            )
        except grpc.RpcError as exc:
            raise error_of(exc, call, timeout_s) from exc
        except ValueError as exc:  # gRPC's word for a closed channel
            raise ClientClosed(f"{call.where}: expected an open client, got a closed one") from exc
        return arrays(call, found)

    def close(self) -> None:
        """May be called twice."""
        self._channel.close()
