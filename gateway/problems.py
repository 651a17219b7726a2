"""Why a request gets no answer, as RFC 9457's problem documents."""

from __future__ import annotations

import math
from http import HTTPStatus
from typing import Any

from starlette.responses import JSONResponse, Response

MEDIA_TYPE = "application/problem+json"
# RFC 9110 renamed these; Python's own names are older, or newer, by its version.
_TITLES = {413: "Content Too Large", 422: "Unprocessable Content"}


def problem_body(status: int, code: str, detail: str, **extra: Any) -> dict[str, Any]:
    """The document.

    Args:
        status: HTTP's.
        code: for programs.
        detail: a sentence for people; nothing of what was sent.
        extra: more members; JSON.
    """
    title = _TITLES.get(status) or HTTPStatus(status).phrase
    return {"type": f"urn:medserve:{code}", "title": title, "status": status, "detail": detail, "code": code, **extra}


def problem(status: int, code: str, detail: str, *, retry_s: float | None = None, **extra: Any) -> Response:
    """The whole answer.

    Args:
        status, code, detail, extra: see `problem_body`.
        retry_s: when asking again may help: Retry-After, in whole seconds and never 0.
    """
    headers = {} if retry_s is None else {"Retry-After": str(max(1, math.ceil(retry_s)))}
    return JSONResponse(problem_body(status, code, detail, **extra), status, headers, media_type=MEDIA_TYPE)
