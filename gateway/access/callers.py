"""Who asks, by whatever proves it: a key of the file or of the environment, or a token."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime
from typing import Protocol

from prometheus_client import CollectorRegistry, Counter, Gauge

from gateway.access.caller import ANYONE, Caller
from gateway.access.issuer import Issuer
from gateway.access.keyring import Defaults, KeyRing
from gateway.access.keys_file import KeysFile, utc_now
from gateway.access.settings import AccessSettings, is_open
from gateway.access.tokens import Tokens


class _Keys(Protocol):
    def find(self, secret: str, now: datetime) -> Caller | None: ...


class Callers:
    """Everybody who may come in.

    Args:
        settings: where keys and tokens come from.
        registry: for what is known of them.
        say: tells the operator.
        clock: seconds that only grow.

    Raises:
        AccessError: a file of keys that cannot be used.
    """

    def __init__(
        self,
        settings: AccessSettings,
        registry: CollectorRegistry,
        say: Callable[[str], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.open = is_open(settings)
        defaults = Defaults(rate_per_s=settings.rate_per_s, burst=settings.burst, concurrency=settings.concurrency)
        self._keys = _keys(settings, defaults, registry, say, clock)
        self._tokens = _tokens(settings, defaults, registry, say, clock)

    async def find(self, secret: str | None) -> Caller | None:
        """Who shows this; None where it is nobody's.

        Raises:
            NotVouched: it looks like a token, and nobody can say now whether it is one.
        """
        if self.open:
            return ANYONE
        caller = self._keys.find(secret or "", utc_now())  # no key costs what a wrong one does
        if caller is None and secret and self._tokens is not None and secret.count(".") == 2:
            return await self._tokens.find(secret)
        return caller


def _keys(
    settings: AccessSettings,
    defaults: Defaults,
    registry: CollectorRegistry,
    say: Callable[[str], None],
    clock: Callable[[], float],
) -> _Keys:
    if settings.keys_file is None:
        return KeyRing(settings.keys, defaults)
    broken = Gauge(
        "medserve_gateway_keys_broken", "1: the file of keys is gone, or cannot be used as it is now", registry=registry
    )
    return KeysFile(settings.keys_file, defaults, broken, say, clock)


def _tokens(
    settings: AccessSettings,
    defaults: Defaults,
    registry: CollectorRegistry,
    say: Callable[[str], None],
    clock: Callable[[], float],
) -> Tokens | None:
    if settings.oidc_issuer is None or settings.oidc_audience is None:
        return None
    failures = Counter(
        "medserve_gateway_issuer_failures", "Times that the issuer's keys could not be fetched", registry=registry
    )
    issuer = Issuer(settings.oidc_issuer, settings.oidc_jwks, failures, say, clock=clock)
    return Tokens(issuer, settings.oidc_issuer, settings.oidc_audience, defaults)
