"""Which of the known keys was shown."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from gateway.access.caller import Caller, models_of
from gateway.access.keys import Key

_NEVER = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Defaults:
    """Of callers of whom nothing else is said; see Caller."""

    rate_per_s: float | None = None
    burst: int = 20
    concurrency: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Known:
    digest: bytes = field(repr=False)
    caller: Caller | None
    expires: datetime = _NEVER


class KeyRing:
    """Every key that is known, and one that nobody has, in whose place all wrong keys are taken."""

    def __init__(self, keys: Sequence[Key], defaults: Defaults) -> None:
        nobody = _Known(digest=secrets.token_bytes(32), caller=None)
        self._known = (nobody, *(_known(key, defaults) for key in keys))

    def find(self, secret: str, now: datetime) -> Caller | None:
        """The caller with this key; None of a wrong one, which costs the same: every entry is compared, each time."""
        digest = hashlib.sha256(secret.encode("utf-8", "surrogateescape")).digest()
        place = 0
        for at, one in enumerate(self._known):
            place += at * hmac.compare_digest(one.digest, digest)
        found = self._known[place]
        return found.caller if now < found.expires else None


def _known(key: Key, defaults: Defaults) -> _Known:
    caller = Caller(
        id=key.id,
        models=models_of(key.models),
        scopes=frozenset(key.scopes),
        rate_per_s=key.rate_per_s or defaults.rate_per_s,
        burst=key.burst or defaults.burst,
        concurrency=key.concurrency or defaults.concurrency,
    )
    return _Known(digest=bytes.fromhex(key.sha256), caller=caller, expires=key.expires or _NEVER)
