"""Headers of every answer, and which other web pages may ask."""

from __future__ import annotations

import contextlib
import ipaddress
import re
from collections.abc import Collection

from starlette.datastructures import MutableHeaders
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Message, Send

# Everything is our own page's own. data: and blob: are the pictures that it draws.
CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self'; "
    "form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
)
_PORT = re.compile(r":\d*$")
SECURITY_HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Cache-Control": "no-store",
}


def is_known_host(host: str, names: Collection[str]) -> bool:
    """Whether nobody else could have made a browser take this `Host` for its own page's (DNS rebinding).

    An address is nobody's name, and a name without dots is nobody's beyond this network.

    Args:
        host: with or without a port.
        names: that the operator knows.
    """
    name = _PORT.sub("", host).rstrip(".").lower()
    with contextlib.suppress(ValueError):
        return bool(ipaddress.ip_address(name.strip("[]")))
    return "." not in name or name in names or name.endswith(".localhost")


def secured(send: Send) -> Send:
    """Adds to each answer the headers that it has not."""

    async def wrapped(message: Message) -> None:
        if message["type"] == "http.response.start":
            message.setdefault("headers", [])
            headers = MutableHeaders(scope=message)
            for name, value in SECURITY_HEADERS.items():
                headers.setdefault(name, value)
        await send(message)

    return wrapped


def with_cors(app: ASGIApp, origins: tuple[str, ...]) -> ASGIApp:
    """The same application, for the pages of these origins too; for none where none is named.

    Keys come in headers that scripts set, never in cookies: so no credentials are allowed.
    """
    if not origins:
        return app
    return CORSMiddleware(
        app,
        allow_origins=origins,
        allow_methods=("GET", "HEAD", "POST"),
        allow_headers=("Authorization", "X-API-Key"),
        expose_headers=("Retry-After", "WWW-Authenticate", "X-Prediction-Id"),
    )
