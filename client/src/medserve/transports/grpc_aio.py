"""gRPC for one event loop."""

from __future__ import annotations

import asyncio

import grpc
from tritonclient.grpc import service_pb2_grpc

from medserve.address import Address
from medserve.calls import Arrays, Call
from medserve.errors import MedServeError, closed
from medserve.transports.channel import OPTIONS, Line, credentials, error_of, metadata
from medserve.wire.grpc import arrays, message, method


class AsyncGrpcTransport:
    """See `medserve.calls.AsyncTransport`. Make it inside the loop that is to use it.

    Args:
        address: of the server.

    Raises:
        OSError: a TLS file that cannot be read.
    """

    def __init__(self, address: Address) -> None:
        self._address = address
        self._metadata = metadata(address)
        self._credentials = credentials(address.tls) if address.encrypted else None
        self._closed = False
        self._line = self._opened()

    async def send(self, call: Call, timeout_s: float) -> Arrays:
        """The answer; the server cancels what is abandoned."""
        if self._closed:
            raise closed(call.where)
        line, request = self._line, message(call, timeout_s)
        line.calls += 1
        error: MedServeError | None = None
        try:
            found = await getattr(line.stub, method(call))(request, timeout=timeout_s, metadata=self._metadata)
        except grpc.aio.AioRpcError as exc:
            if self._closed:
                raise closed(call.where) from exc
            error = error_of(exc, call, timeout_s)
            raise error from exc
        except asyncio.CancelledError as exc:
            if self._closed and not _being_cancelled():  # gRPC's word for a channel that is closed meanwhile
                raise closed(call.where) from exc
            raise
        finally:
            await self._ended(line, error)
        return arrays(call, found)

    async def close(self) -> None:
        """Ends the calls that are under way. May be called twice."""
        self._closed = True
        await self._line.channel.close()

    def _opened(self) -> Line:
        channel = (
            grpc.aio.secure_channel(self._address.netloc, self._credentials, OPTIONS)
            if self._credentials is not None
            else grpc.aio.insecure_channel(self._address.netloc, OPTIONS)
        )
        return Line(channel, service_pb2_grpc.GRPCInferenceServiceStub(channel))

    async def _ended(self, line: Line, error: MedServeError | None) -> None:
        line.ended(error)
        if line is self._line and line.dead and not self._closed:
            self._line = self._opened()
        if line is not self._line and not line.calls:
            await line.channel.close()


def _being_cancelled() -> bool:
    """Whether somebody cancels the task that runs; Python 3.10 does not tell."""
    task = asyncio.current_task()
    return bool(task is not None and hasattr(task, "cancelling") and task.cancelling())
