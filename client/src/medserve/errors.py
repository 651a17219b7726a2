"""Everything that can go wrong, in one tree; translated from both protocols in one place.

MedServeError
├── InvalidInput (ValueError)      the server refused what was sent; `code` says why
├── UnknownModel (LookupError)     no such model, or not loaded
├── Unavailable (ConnectionError)  no server there, or it is draining or overloaded
├── TimedOut (TimeoutError)        no answer within timeout_s
└── ServerFault (RuntimeError)     the server failed at a request that was fine
"""

from __future__ import annotations

import re

from tritonclient.utils import InferenceServerException


class MedServeError(Exception):
    """Any failure of a call.

    Args:
        message: where, what was expected, what came.
        code: the server's reason code, such as "corrupt_image"; None where it gave none.
    """

    def __init__(self, message: str, code: str | None = None) -> None:
        super().__init__(message)
        self.code = code


class InvalidInput(MedServeError, ValueError):
    """The input is not what the model expects."""


class UnknownModel(MedServeError, LookupError):
    """The server has no such model."""


class Unavailable(MedServeError, ConnectionError):
    """No server answers there, or it takes no requests now."""


class TimedOut(MedServeError, TimeoutError):
    """No answer in time."""


class ServerFault(MedServeError, RuntimeError):
    """The server failed."""


# gRPC status names and HTTP status codes, as tritonclient gives them.
_BY_STATUS: dict[str, type[MedServeError]] = {
    "StatusCode.INVALID_ARGUMENT": InvalidInput,
    "StatusCode.OUT_OF_RANGE": InvalidInput,
    "400": InvalidInput,
    "StatusCode.NOT_FOUND": UnknownModel,
    "404": UnknownModel,
    "StatusCode.UNAVAILABLE": Unavailable,
    "503": Unavailable,
    "StatusCode.DEADLINE_EXCEEDED": TimedOut,
    "408": TimedOut,
    "499": TimedOut,
    "504": TimedOut,
}
# The server's contract: its sentence carries the reason code in brackets in front.
_CODE = re.compile(r"\[([a-z0-9_]+)\] ")


def translated(exc: Exception, where: str) -> MedServeError:
    """The error of our tree for whatever a transport raised.

    Args:
        exc: from tritonclient, or from the socket below it.
        where: the call, for the message.
    """
    if isinstance(exc, InferenceServerException):
        kind = _BY_STATUS.get(str(exc.status()), ServerFault)
        sentence = str(exc.message())
        code = _CODE.search(sentence)
        return kind(f"{where}: {sentence}", code[1] if code else None)
    if isinstance(exc, TimeoutError):
        return TimedOut(
            f"{where}: expected an answer in time, got none. Raise timeout_s, or look at the server's load."
        )
    if isinstance(exc, OSError):
        return Unavailable(f"{where}: expected a server, got {exc}. Is it running, and is the port right?")
    return ServerFault(f"{where}: {type(exc).__name__}: {exc}")
