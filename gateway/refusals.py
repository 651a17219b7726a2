"""Why a request gets no answer: what the client raises, in HTTP's terms."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from starlette.responses import Response

from gateway.audit import AuditError
from gateway.problems import problem, problem_body
from medserve import (
    BrokenAnswer,
    InvalidInput,
    NotAllowed,
    Overloaded,
    ServerFault,
    TimedOut,
    Unavailable,
    UnknownModel,
)

RETRY_S = 1  # after which who was refused for want of room may ask again


class Refused(Exception):
    """A request that gets no answer.

    Args:
        status: HTTP's.
        code: for programs.
        detail: a sentence for people; nothing of what was sent.
        retry_s: when asking again may help; None: the same request will be refused again.
    """

    def __init__(self, status: int, code: str, detail: str, *, retry_s: float | None = None) -> None:
        super().__init__(detail)
        self.status, self.code, self.detail, self.retry_s = status, code, detail, retry_s

    def body(self) -> dict[str, Any]:
        """The problem document."""
        return problem_body(self.status, self.code, self.detail)

    def response(self) -> Response:
        """For the caller."""
        return problem(self.status, self.code, self.detail, retry_s=self.retry_s)


# The first that fits. Source of the statuses: RFC 9110.
_STATUS: tuple[tuple[type[Exception], HTTPStatus, str, int | None], ...] = (
    (InvalidInput, HTTPStatus.UNPROCESSABLE_ENTITY, "invalid_input", None),
    (UnknownModel, HTTPStatus.NOT_FOUND, "unknown_model", None),
    (Overloaded, HTTPStatus.SERVICE_UNAVAILABLE, "overloaded", RETRY_S),
    (Unavailable, HTTPStatus.SERVICE_UNAVAILABLE, "unavailable", RETRY_S),
    (TimedOut, HTTPStatus.GATEWAY_TIMEOUT, "timed_out", RETRY_S),
    (NotAllowed, HTTPStatus.BAD_GATEWAY, "server_refused_gateway", None),
    (BrokenAnswer, HTTPStatus.BAD_GATEWAY, "broken_answer", RETRY_S),
    (ServerFault, HTTPStatus.BAD_GATEWAY, "server_fault", None),
    (AuditError, HTTPStatus.SERVICE_UNAVAILABLE, "not_recorded", RETRY_S),
)
_OTHER = (HTTPStatus.INTERNAL_SERVER_ERROR, "internal", None)
_OURS = "The server could not answer. Ask again; its log says more."


def refusal(error: Exception) -> Refused:
    """The refusal that an error means.

    The sentence is the server's own where it speaks of the input: by its contract it quotes nothing of it. Of any other
    failure nothing is told but its kind.
    """
    if isinstance(error, Refused):
        return error
    for kind, status, code, retry_s in _STATUS:
        if isinstance(error, kind):
            code = getattr(error, "code", None) or code
            sentence = str(error) if isinstance(error, (InvalidInput, UnknownModel, Overloaded, TimedOut)) else _OURS
            return Refused(int(status), code, sentence, retry_s=retry_s)
    status, code, retry_s = _OTHER
    return Refused(int(status), code, _OURS, retry_s=retry_s)


def known() -> dict[int, str]:
    """Every status that `refusal` can give → its code, for the documentation."""
    return {int(status): code for _, status, code, _ in _STATUS} | {int(_OTHER[0]): _OTHER[1]}
