"""gRPC for one event loop."""

from __future__ import annotations

import grpc
from tritonclient.grpc import service_pb2_grpc

from medserve.address import Address
from medserve.calls import Arrays, Call
from medserve.transports.channel import OPTIONS, credentials, error_of, metadata
from medserve.wire.grpc import arrays, message, method


class AsyncGrpcTransport:
    """See `medserve.calls.AsyncTransport`. Make it inside the loop that is to use it.

    Args:
        address: of the server.

    Raises:
        OSError: a TLS file that cannot be read.
    """

    def __init__(self, address: Address) -> None:
        self._metadata = metadata(address)
        self._channel = (
            grpc.aio.secure_channel(address.netloc, credentials(address.tls), OPTIONS)
            if address.encrypted
            else grpc.aio.insecure_channel(address.netloc, OPTIONS)
        )
        self._stub = service_pb2_grpc.GRPCInferenceServiceStub(self._channel)

    async def send(self, call: Call, timeout_s: float) -> Arrays:
        """The answer; the server cancels what is abandoned."""
        try:
            found = await getattr(self._stub, method(call))(
                message(call, timeout_s), timeout=timeout_s, metadata=self._metadata
            )
        except grpc.aio.AioRpcError as exc:
            raise error_of(exc, call, timeout_s) from exc
        return arrays(call, found)

    async def close(self) -> None:
        """May be called twice."""
        await self._channel.close()
