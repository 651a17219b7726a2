"""What both gRPC transports share: their channel's options, and when it is given up."""

from __future__ import annotations

from typing import Any

import grpc

from medserve.address import TLS, Address
from medserve.calls import Call
from medserve.errors import MedServeError, TimedOut, Unavailable, of_status, timed_out

OPTIONS = [
    ("grpc.max_send_message_length", -1),  # a CT slice or a photograph: the server's own limit decides
    ("grpc.max_receive_message_length", -1),
    ("grpc.initial_reconnect_backoff_ms", 100),  # a restarted server is back in seconds; gRPC would wait for minutes
    ("grpc.max_reconnect_backoff_ms", 2000),
    ("grpc.enable_http_proxy", 0),  # as the other transports: no variable of the environment reroutes patients' data
    ("grpc.enable_retries", 0),  # medserve.retry decides
    ("grpc.use_local_subchannel_pool", 1),  # clients of one process share no connection, and no back-off
]
SILENT = 2  # calls without any answer, one after the other, before a connection is taken for dead


class Line:
    """One channel, and how it is doing.

    gRPC notices a connection that ends, but not one that falls silent, as behind a NAT that forgot it: every
    further call would time out on it. It is replaced after SILENT calls, and closed when its last call is over.

    Args:
        channel: gRPC's, for threads or for an event loop.
        stub: on it.
    """

    def __init__(self, channel: Any, stub: Any) -> None:
        self.channel = channel
        self.stub = stub
        self.calls = 0
        self._silent = 0

    def ended(self, error: MedServeError | None) -> None:
        """A call is over; `error` as it ended for its caller."""
        self.calls -= 1
        self._silent = self._silent + 1 if isinstance(error, TimedOut) else 0

    @property
    def dead(self) -> bool:
        """Whether it should be replaced."""
        return self._silent >= SILENT


def metadata(address: Address) -> tuple[tuple[str, str], ...]:
    """Headers, as gRPC has them."""
    return tuple(address.headers.items())


def credentials(tls: TLS) -> grpc.ChannelCredentials:
    """Raises OSError: a file that cannot be read."""
    ca, certificate, key = (path.read_bytes() if path else None for path in (tls.ca, tls.certificate, tls.key))
    return grpc.ssl_channel_credentials(ca, key, certificate)


def error_of(exc: Any, call: Call, timeout_s: float) -> MedServeError:
    """The error of our tree for a grpc.RpcError or a grpc.aio.AioRpcError."""
    status = exc.code().name
    if status == "DEADLINE_EXCEEDED":
        return timed_out(call.where, timeout_s)
    sentence = str(exc.details() or "")
    error = of_status(status, sentence, call.where)
    if type(error) is Unavailable and not error.code:
        return of_status(status, f"{sentence}. Is the server running, and is the port right?", call.where)
    return error
