"""What a request shows of who asks."""

from __future__ import annotations

from starlette.datastructures import Headers

LONGEST = 8192  # characters; a token with many claims has 2,000
_HEADERS = ("authorization", "x-api-key")


def shown(headers: Headers) -> str | None:
    """The key or token of `Authorization: Bearer …` or `X-API-Key: …`; None where there is none.

    "" where two differ, or one is longer than any can be: no key is empty.
    """
    found = {value.strip() for value in headers.getlist("x-api-key")}
    for value in headers.getlist("authorization"):
        scheme, _, secret = value.strip().partition(" ")
        if scheme.lower() == "bearer":  # Basic is a proxy's own
            found.add(secret.strip())
    found.discard("")
    if not found:
        return None
    (first, *others) = found
    return "" if others or len(first) > LONGEST else first


def without(headers: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """The same headers less the secrets: what the application does not have it cannot tell."""
    return [(name, value) for name, value in headers if name.lower().decode("latin-1") not in _HEADERS]
