"""The public keys of a tokens' issuer: fetched rarely, kept when fetching fails.

A key that is not known makes us look again, but never more often than each REFETCH_S, whoever asks: a forged token
costs its sender one look-up in a dictionary. Nothing here blocks the event loop.
"""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import jwt
import msgspec
from prometheus_client import Counter

from gateway.access.errors import NotVouched
from gateway.access.settings import is_safe_url

REFETCH_S, STALE_S, TIMEOUT_S = 10.0, 300.0, 5.0
LARGEST_BYTES = 1 << 20
MIN_RSA_BITS = 2048
_BY_KIND = {"RSA": ("RS256", "PS256"), "EC P-256": ("ES256",), "OKP Ed25519": ("EdDSA",)}
Keys = Mapping[tuple[str, str], jwt.PyJWK]  # by kid and algorithm


class FetchFailed(Exception):
    """No keys came: a sentence."""


class Issuer:
    """The keys of one issuer.

    Args:
        issuer: as its tokens say.
        jwks: URL or file of its keys; None: where its discovery document says.
        failures: counts what went wrong.
        say: tells of the first failure of a row.
        refetch_s, stale_s: at most, and at least, so often the keys are fetched.
        clock: seconds that only grow.
        transport: in the place of connections to the issuer.
    """

    def __init__(
        self,
        issuer: str,
        jwks: str | None,
        failures: Counter,
        say: Callable[[str], None],
        *,
        refetch_s: float = REFETCH_S,
        stale_s: float = STALE_S,
        clock: Callable[[], float] = time.monotonic,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._transport = transport
        self._issuer, self._jwks, self._failures, self._say = issuer, jwks, failures, say
        self._refetch_s, self._stale_s, self._clock = refetch_s, stale_s, clock
        self._trust = ssl.create_default_context()  # once: it reads every authority's certificate
        self._keys: Keys = {}
        self._tried = -float("inf")
        self._fetching: asyncio.Task[None] | None = None
        self._failed = False

    async def key(self, kid: str, algorithm: str) -> jwt.PyJWK | None:
        """The key of this name; None: the issuer has none.

        Raises:
            NotVouched: its keys were never got.
        """
        since_s = self._clock() - self._tried
        if (kid, algorithm) in self._keys:
            if since_s >= self._stale_s:  # for the next, this one need not wait
                self._start()
            return self._keys[kid, algorithm]
        if since_s >= self._refetch_s:
            self._start()
        if self._fetching is not None:
            await asyncio.wait({self._fetching})  # it bounds itself, and outlives whoever waits
        if not self._keys:
            raise NotVouched
        return self._keys.get((kid, algorithm))

    def _start(self) -> None:
        self._tried = self._clock()
        if self._fetching is None:
            self._fetching = asyncio.create_task(self._refresh())

    async def _refresh(self) -> None:
        try:
            async with asyncio.timeout(2 * TIMEOUT_S):
                self._keys = usable_keys(await self._fetch())
            self._failed = False
        except (FetchFailed, httpx.HTTPError, httpx.InvalidURL, OSError, TimeoutError) as exc:
            self._failures.inc()
            if not self._failed:
                self._say(f"keys of the tokens' issuer: {exc or type(exc).__name__}. Those from before stay.")
            self._failed = True
        finally:
            self._fetching = None

    async def _fetch(self) -> bytes:
        if self._jwks is not None and "://" not in self._jwks:
            return await asyncio.to_thread(_read, Path(self._jwks))
        async with httpx.AsyncClient(timeout=TIMEOUT_S, verify=self._trust, transport=self._transport) as client:
            return await _get(client, self._jwks or await self._discover(client))

    async def _discover(self, client: httpx.AsyncClient) -> str:
        """Source: OpenID Connect Discovery 1.0, section 4."""
        found = _decoded(await _get(client, f"{self._issuer.rstrip('/')}/.well-known/openid-configuration"))
        if found.get("issuer") != self._issuer:
            raise FetchFailed("expected the discovery document of GATEWAY_OIDC_ISSUER, got another issuer's")
        where = found.get("jwks_uri")
        if not isinstance(where, str) or not is_safe_url(where):
            raise FetchFailed("expected https://… as jwks_uri of the discovery document, got another value")
        return where


def usable_keys(content: bytes) -> Keys:
    """Those public keys of a JWKS that may sign, for each algorithm that they may sign by.

    Raises:
        FetchFailed: there is none.
    """
    listed = _decoded(content).get("keys")
    found = {}
    for one in listed if isinstance(listed, list) else ():
        for algorithm in _algorithms(one) if isinstance(one, dict) else ():
            try:
                found[one["kid"], algorithm] = jwt.PyJWK(one, algorithm)
            except (jwt.PyJWTError, LookupError, ValueError, TypeError, AttributeError):
                continue  # a kind that we do not know is no reason to lose the others
    usable = {name: key for name, key in found.items() if getattr(key.key, "key_size", MIN_RSA_BITS) >= _least(key)}
    if not usable:
        raise FetchFailed("expected a JWKS with a public key for RS256, PS256, ES256 or EdDSA, got none")
    return usable


def _algorithms(key: dict[str, Any]) -> tuple[str, ...]:
    """None of a symmetric key, nor of one whose private part is told: others could make tokens by it."""
    kind = f"{key.get('kty')} {key.get('crv', '')}".strip()
    signs = key.get("use") in (None, "sig") and "verify" in (key.get("key_ops") or ["verify"]) and "d" not in key
    if not signs or not isinstance(key.get("kid"), str):
        return ()
    return tuple(one for one in _BY_KIND.get(kind, ()) if key.get("alg") in (None, one))


def _least(key: jwt.PyJWK) -> int:
    return MIN_RSA_BITS if key.key_type == "RSA" else 0


def _decoded(content: bytes) -> dict[str, Any]:
    try:
        return msgspec.json.decode(content, type=dict[str, Any])
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise FetchFailed("expected a JSON object, got something else") from None


async def _get(client: httpx.AsyncClient, url: str) -> bytes:
    host = urlsplit(url).hostname
    async with client.stream("GET", url) as answer:  # redirects are not followed
        if answer.status_code != httpx.codes.OK:
            raise FetchFailed(f"expected status 200 of {host}, got {answer.status_code}")
        content = b""
        async for piece in answer.aiter_bytes():
            content += piece
            if len(content) > LARGEST_BYTES:
                raise FetchFailed(f"expected at most {LARGEST_BYTES} bytes of {host}, got more")
        return content


def _read(path: Path) -> bytes:
    if not path.is_file():  # a pipe would block for ever
        raise FetchFailed(f"GATEWAY_OIDC_JWKS: expected a file, got none at {path}")
    with path.open("rb") as file:
        return file.read(LARGEST_BYTES)
