"""What brings calls to a server: gRPC and HTTP, for threads and for an event loop."""

from __future__ import annotations

from medserve.address import Address
from medserve.calls import AsyncTransport, Transport


def connected(address: Address) -> Transport:
    """For threads. Opens nothing before the first call."""
    if address.scheme.startswith("grpc"):
        from medserve.transports.grpc import GrpcTransport

        return GrpcTransport(address)
    from medserve.transports.http import HttpTransport

    return HttpTransport(address)


def connected_async(address: Address) -> AsyncTransport:
    """For the event loop that first uses it."""
    if address.scheme.startswith("grpc"):
        from medserve.transports.grpc_aio import AsyncGrpcTransport

        return AsyncGrpcTransport(address)
    from medserve.transports.http_aio import AsyncHttpTransport

    return AsyncHttpTransport(address)
