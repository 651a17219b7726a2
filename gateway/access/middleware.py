"""The door: every request passes here first, and most refusals are given before a byte of a body is read.

The order of the questions is that of their price: headers, who, whether the route is his, how much, and only then the
body. The application finds the caller in `request.state.caller`, and neither key nor token anywhere; for what counts as
more than one request it calls `request.state.charge`, and refuses it where that says so.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from functools import partial

from prometheus_client import CollectorRegistry, Counter
from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.access.bodies import BodyLimits, BodyReader, BodyRefused, has_body, refused_by_headers
from gateway.access.caller import NOBODY, Caller
from gateway.access.callers import Callers
from gateway.access.credentials import shown, without
from gateway.access.errors import NotVouched
from gateway.access.headers import is_known_host, secured, with_cors
from gateway.access.limits import BUSY_RETRY_S, Limits, Refusal
from gateway.access.paths import is_open_path, needed_scope
from gateway.access.settings import AccessSettings
from gateway.problems import problem

POLICY_VIOLATION = 1008  # of a WebSocket. Source: RFC 6455, 7.4.1
NO_KEY = Refusal(401, "no_key", "expected `Authorization: Bearer` or `X-API-Key` with a key, got neither", 0)
BAD_KEY = Refusal(401, "bad_key", "expected a key that is known here and has not expired, got another", 0)
_CHALLENGES = {"no_key": 'Bearer realm="medserve"', "bad_key": 'Bearer realm="medserve", error="invalid_token"'}
_NOT_VOUCHED = Refusal(503, "no_issuer", "Tokens cannot be checked now: their issuer was not reached.", BUSY_RETRY_S)
_FOREIGN = Refusal(403, "foreign_page", "expected a page of GATEWAY_CORS_ORIGINS, got another site's", 0)
_REBOUND = Refusal(
    403,
    "foreign_host",
    "expected an address, a name without dots, or one of GATEWAY_HOSTS as Host where no key is asked for, got another",
    0,
)
_READING = ("GET", "HEAD")


class AccessMiddleware:
    """Pure ASGI, around the whole application.

    Args:
        app: the application.
        settings: who may, and how much.
        registry: counts refusals.
        say: tells the operator.
        clock: seconds that only grow.

    Raises:
        AccessError: a file of keys that cannot be used.
    """

    def __init__(
        self,
        app: ASGIApp,
        settings: AccessSettings,
        registry: CollectorRegistry,
        *,
        say: Callable[[str], None] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._app, self._origins = app, frozenset(settings.cors_origins)
        self._hosts = frozenset(settings.hosts)
        self._callers = Callers(settings, registry, say or _say, clock)
        self._clock = clock
        self._limits = Limits(most_at_once=settings.most_at_once, max_bytes=settings.max_bodies_bytes, clock=clock)
        self._bodies = BodyLimits(
            max_bytes=settings.max_body_bytes,
            min_bytes_per_s=settings.min_body_bytes_per_s,
            max_s=settings.max_body_s,
        )
        self._refused = Counter(
            "medserve_gateway_refused", "Requests that were not let in, by reason code", ["reason"], registry=registry
        )
        self._http = with_cors(self._enter, settings.cors_origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await self._http(scope, receive, secured(send))
        elif scope["type"] == "lifespan":
            await self._app(scope, receive, send)
        else:  # no route is a WebSocket's
            self._refused.labels("websocket").inc()
            await send({"type": "websocket.close", "code": POLICY_VIOLATION, "reason": ""})

    async def _enter(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = Headers(scope=scope)
        found = await self._judge(scope, headers)
        if isinstance(found, Refusal):
            await self._refuse(found, scope, send)
            return
        counted = scope["method"] not in _READING
        if (refusal := self._limits.enter(found, counted=counted)) is not None:
            await self._refuse(refusal, scope, send)
            return
        visit = _Visit(self, _inside(scope, found, partial(self._charge, found)), receive, send)
        try:
            await visit.run(self._app)
        finally:
            self._limits.leave(found, counted=counted, held_bytes=visit.body.held_bytes)

    async def _judge(self, scope: Scope, headers: Headers) -> Caller | Refusal:
        if (refusal := refused_by_headers(headers, self._bodies)) is not None:
            return refusal
        if is_open_path(scope):
            return NOBODY
        secret = shown(headers)
        try:
            caller = await self._callers.find(secret)
        except NotVouched:
            return _NOT_VOUCHED
        if caller is None:
            return NO_KEY if secret is None else BAD_KEY
        if self._callers.open and (refusal := self._foreign(scope, headers)) is not None:
            return refusal
        needed = needed_scope(scope)
        if needed is not None and needed not in caller.scopes:
            return Refusal(403, "not_this_route", f"expected a key with the scope {needed}, got one without", 0)
        return caller

    def _foreign(self, scope: Scope, headers: Headers) -> Refusal | None:
        """Whether a browser sends this for another site's page: it can reach this machine, the page's author cannot."""
        if not is_known_host(headers.get("host", ""), self._hosts):
            return _REBOUND
        elsewhere = headers.get("sec-fetch-site") in ("cross-site", "same-site")
        foreign = elsewhere and scope["method"] not in _READING and headers.get("origin") not in self._origins
        return _FOREIGN if foreign else None

    def _charge(self, caller: Caller, more: int) -> Refusal | None:
        refusal = self._limits.charge(caller, more)
        if refusal is not None:
            self._refused.labels(refusal.code).inc()
        return refusal

    async def _refuse(self, refusal: Refusal, scope: Scope, send: Send) -> None:
        self._refused.labels(refusal.code).inc()
        await _answer(refusal, Headers(scope=scope))(scope, _nothing, send)


class _Visit:
    """One request that was let in. Once its body was refused, nothing that the application says goes out."""

    def __init__(self, door: AccessMiddleware, scope: Scope, receive: Receive, send: Send) -> None:
        self._door, self._scope, self._send = door, scope, send
        self._answering = self._over = False
        self.body = BodyReader(receive, door._bodies, door._limits, self._refuse, door._clock)

    async def run(self, app: ASGIApp) -> None:
        try:
            await app(self._scope, self.body, self._pass)
        except BodyRefused:
            if not self._over:
                raise

    async def _pass(self, message: Message) -> None:
        if not self._over:
            self._answering = True
            await self._send(message)

    async def _refuse(self, refusal: Refusal) -> None:
        if not self._answering:
            await self._door._refuse(refusal, self._scope, self._send)
        self._over = True


def _inside(scope: Scope, caller: Caller, charge: Callable[[int], Refusal | None]) -> Scope:
    state = {**scope.get("state", {}), "caller": caller, "charge": charge}
    return {**scope, "headers": without(scope["headers"]), "state": state}


def _answer(refusal: Refusal, headers: Headers) -> Response:
    answer = problem(refusal.status, refusal.code, refusal.detail, retry_s=refusal.retry_s or None)
    if refusal.code in _CHALLENGES:
        answer.headers["WWW-Authenticate"] = _CHALLENGES[refusal.code]
    if has_body(headers):  # which nobody will read: the connection ends with this answer
        answer.headers["Connection"] = "close"
    return answer


async def _nothing() -> Message:
    return {"type": "http.disconnect"}


def _say(sentence: str) -> None:
    print(f"gateway: access: {sentence}", file=sys.stderr, flush=True)
