"""Everything that can go wrong, in one tree; both protocols are translated here and nowhere else.

MedServeError
├── InvalidInput (ValueError)      what was sent is not what the model expects; `code` says why
├── UnknownModel (LookupError)     no such model, or not loaded
├── NotAllowed (PermissionError)   the key or the certificate is missing, or does not suffice
├── Unavailable (ConnectionError)  no server there, or it is draining
│   └── Overloaded                 it is there, and sheds load: its queue is full, or the wait in it was too long
├── TimedOut (TimeoutError)        no answer within timeout_s
├── ServerFault (RuntimeError)     the server failed at a request that was fine
│   └── BrokenAnswer               an answer that was cut short, or is not the protocol's
└── ClientClosed (RuntimeError)    the client was closed, or belongs to another process or event loop
"""

from __future__ import annotations

import re
import ssl
from http import HTTPStatus


class MedServeError(Exception):
    """Any failure of a call.

    Args:
        message: where, what was expected, what came, what to do.
        code: the server's reason code, such as "corrupt_image"; None where it gave none.
        status: the protocol's, such as "INVALID_ARGUMENT" or "400"; None where no answer came.
        retryable: nothing was answered, and asking again is safe.
    """

    def __init__(
        self, message: str, *, code: str | None = None, status: str | None = None, retryable: bool = False
    ) -> None:
        super().__init__(message)
        self.code = code
        self.status = status
        self.retryable = retryable

    def __reduce__(self) -> tuple[object, ...]:
        """Processes may hand errors to each other."""
        return (_again, (type(self), str(self), self.code, self.status, self.retryable))


class InvalidInput(MedServeError, ValueError):
    """The input is not what the model expects."""


class UnknownModel(MedServeError, LookupError):
    """The server has no such model."""


class NotAllowed(MedServeError, PermissionError):
    """The server does not let this caller do that."""


class Unavailable(MedServeError, ConnectionError):
    """No server answers there, or it takes no requests now."""


class Overloaded(Unavailable):
    """The server has more to do than it can: this call was dropped from its queue, or did not get into it."""


class TimedOut(MedServeError, TimeoutError):
    """No answer in time."""


class ServerFault(MedServeError, RuntimeError):
    """The server failed."""


class BrokenAnswer(ServerFault):
    """The answer was cut short, or is not what the protocol promises."""


class ClientClosed(MedServeError, RuntimeError):
    """The client cannot be used here, or no more."""


# Source: grpc.StatusCode.
_BY_GRPC: dict[str, type[MedServeError]] = {
    "CANCELLED": Unavailable,
    "UNKNOWN": ServerFault,
    "INVALID_ARGUMENT": InvalidInput,
    "DEADLINE_EXCEEDED": TimedOut,
    "NOT_FOUND": UnknownModel,
    "ALREADY_EXISTS": ServerFault,
    "PERMISSION_DENIED": NotAllowed,
    "RESOURCE_EXHAUSTED": Unavailable,
    "FAILED_PRECONDITION": ServerFault,
    "ABORTED": Unavailable,
    "OUT_OF_RANGE": InvalidInput,
    "UNIMPLEMENTED": ServerFault,
    "INTERNAL": ServerFault,
    "UNAVAILABLE": Unavailable,
    "DATA_LOSS": BrokenAnswer,
    "UNAUTHENTICATED": NotAllowed,
}
# Source: RFC 9110, and what Triton and the proxies before it send. All others are ServerFault.
_BY_HTTP: dict[int, type[MedServeError]] = {
    HTTPStatus.BAD_REQUEST: InvalidInput,
    HTTPStatus.UNAUTHORIZED: NotAllowed,
    HTTPStatus.FORBIDDEN: NotAllowed,
    HTTPStatus.NOT_FOUND: UnknownModel,
    HTTPStatus.PROXY_AUTHENTICATION_REQUIRED: NotAllowed,
    HTTPStatus.REQUEST_TIMEOUT: TimedOut,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: InvalidInput,
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE: InvalidInput,
    HTTPStatus.UNPROCESSABLE_ENTITY: InvalidInput,
    HTTPStatus.TOO_MANY_REQUESTS: Unavailable,
    499: Unavailable,  # Triton's word for CANCELLED
    HTTPStatus.BAD_GATEWAY: Unavailable,
    HTTPStatus.SERVICE_UNAVAILABLE: Unavailable,
    HTTPStatus.GATEWAY_TIMEOUT: TimedOut,
}
_RETRYABLE = {"UNAVAILABLE", str(int(HTTPStatus.SERVICE_UNAVAILABLE))}
# Triton's sentences where a queue sheds load → whether asking again helps: who has waited in vain has little time
# left, and would only lengthen the queue. Source: triton-inference-server/core, scheduler_utils.cc, 24.10.
_SHED = {"Exceeds maximum queue size": True, "Request timeout expired": False}
# The server's contract: its sentence carries the reason code in brackets in front.
_CODE = re.compile(r"\[([a-z0-9_]+)\] ")


def of_status(status: str, sentence: str, where: str) -> MedServeError:
    """The error of our tree for an answer that is none.

    Args:
        status: gRPC's name, or HTTP's number.
        sentence: the server's.
        where: the call, for the message.
    """
    kind = _BY_HTTP.get(int(status), ServerFault) if status.isdigit() else _BY_GRPC.get(status, ServerFault)
    code = _CODE.search(sentence)
    retryable = status in _RETRYABLE
    for said, again in _SHED.items():
        if kind is Unavailable and said in sentence:
            kind, retryable = Overloaded, again
            sentence += ": the server has more to do than it can. Ask later, or raise timeout_s."
    return kind(f"{where}: {sentence or status}", code=code[1] if code else None, status=status, retryable=retryable)


def timed_out(where: str, timeout_s: float) -> TimedOut:
    """No answer came in time."""
    return TimedOut(
        f"{where}: expected an answer within {timeout_s:.3g} s, got none. "
        "Raise timeout_s, or look at the server's load."
    )


def no_server(where: str, exc: BaseException) -> Unavailable:
    """The connection failed before there was an answer. A certificate that is not trusted will not be later either."""
    untrusted = isinstance(getattr(exc, "certificate_error", exc), ssl.SSLCertVerificationError)
    return Unavailable(
        f"{where}: expected a server, got {exc or type(exc).__name__}. "
        + ("Pass TLS(ca=…)." if untrusted else "Is it running, and is the port right?"),
        retryable=not untrusted,
    )


def cut_short(where: str, exc: BaseException) -> BrokenAnswer:
    """The connection failed in the middle of an answer."""
    return BrokenAnswer(f"{where}: expected a whole answer, got a part: {exc or type(exc).__name__}. Ask again.")


def closed(where: str) -> ClientClosed:
    """The client was closed before the answer came."""
    return ClientClosed(f"{where}: expected an open client, got a closed one")


def lightened(error: BaseException) -> None:
    """Take the tracebacks off an error that is kept: their frames hold the whole of what was sent."""
    waiting: list[BaseException | None] = [error]
    while waiting:
        if (one := waiting.pop()) is not None and one.__traceback__ is not None:
            one.__traceback__ = None
            waiting += [one.__cause__, one.__context__]


def _again(
    kind: type[MedServeError], message: str, code: str | None, status: str | None, retryable: bool
) -> MedServeError:
    return kind(message, code=code, status=status, retryable=retryable)
