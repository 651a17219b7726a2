"""JSON that is parsed only if it holds no more values than are worth the memory."""

from __future__ import annotations

from typing import Any

import msgspec

from gateway.refusals import Refused

MOST_COMMAS = 50_000  # as many values are parsed at most, whatever the body's size


def decoded(body: bytes) -> Any:
    """What it says.

    Raises:
        Refused: too many values, or no JSON.
    """
    if body.count(b",") > MOST_COMMAS:
        raise Refused(413, "too_many_values", f"expected JSON of at most {MOST_COMMAS} values, got more")
    try:
        return msgspec.json.decode(body)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as exc:
        raise Refused(400, "bad_json", "expected JSON, got another body") from exc
