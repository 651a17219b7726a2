"""What the environment says of who may."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from gateway.access.errors import AccessError
from gateway.access.keys import Key, read_list

MIB = 1 << 20
_HOST = re.compile(r"[a-z0-9_-]+(\.[a-z0-9_-]+)*")
_LOOPBACK = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessSettings:
    """Where neither keys nor an issuer are named, everything is open.

    Args:
        hosts: names that it is called by where it is open; addresses, and names without dots, need none.
        keys_file: see `keys`; looked at again while it runs.
        keys: from the environment, in its place.
        oidc_issuer, oidc_audience: of the tokens that are believed.
        oidc_jwks: URL or file of the issuer's keys; None: where its discovery document says.
        rate_per_s, burst, concurrency: of callers whose key says nothing of them, and of tokens; see Caller.
        most_at_once: requests under way in all, but for GET and HEAD, which probes use.
        max_body_bytes: of one request.
        max_bodies_bytes: of all requests under way.
        min_body_bytes_per_s, max_body_s: a body that comes more slowly, or takes longer, is given up.
        cors_origins: web pages from elsewhere that may ask, as `https://host[:port]`.
    """

    hosts: tuple[str, ...] = ()
    keys_file: Path | None = None
    keys: tuple[Key, ...] = field(default=(), repr=False)
    oidc_issuer: str | None = None
    oidc_audience: str | None = None
    oidc_jwks: str | None = None
    rate_per_s: float | None = None
    burst: int = 20
    concurrency: int | None = None
    most_at_once: int = 256
    max_body_bytes: int = 96 * MIB
    max_bodies_bytes: int = 128 * MIB
    min_body_bytes_per_s: int = 1024
    max_body_s: float = 120.0
    cors_origins: tuple[str, ...] = ()

    @classmethod
    def from_environment(cls, env: Mapping[str, str]) -> AccessSettings:
        """Raises AccessError: the variable, what was expected, and what came where that is no secret."""
        file, listed = env.get("GATEWAY_KEYS_FILE"), env.get("GATEWAY_KEYS")
        if file and listed:
            raise AccessError("GATEWAY_KEYS, GATEWAY_KEYS_FILE: expected one of them, got both")
        issuer, audience, jwks = _issuer(env)
        found = cls(
            hosts=_hosts(env.get("GATEWAY_HOSTS") or ""),
            keys_file=Path(file) if file else None,
            keys=read_list(listed) if listed else (),
            oidc_issuer=issuer,
            oidc_audience=audience,
            oidc_jwks=jwks,
            rate_per_s=_number(env, "GATEWAY_RATE_PER_S", 1e6) if env.get("GATEWAY_RATE_PER_S") else None,
            burst=_whole(env, "GATEWAY_BURST", 20, 10**6),
            concurrency=_whole(env, "GATEWAY_CONCURRENCY", 1, 10**6) if env.get("GATEWAY_CONCURRENCY") else None,
            most_at_once=_whole(env, "GATEWAY_MOST_AT_ONCE", 256, 10**6),
            max_body_bytes=_whole(env, "GATEWAY_MAX_BODY_BYTES", 96 * MIB, 1 << 40),
            max_bodies_bytes=_whole(env, "GATEWAY_MAX_BODIES_BYTES", 128 * MIB, 1 << 40),
            min_body_bytes_per_s=_whole(env, "GATEWAY_MIN_BODY_BYTES_PER_S", 1024, 1 << 30),
            max_body_s=_number(env, "GATEWAY_MAX_BODY_S", 3600.0, default=120.0),
            cors_origins=_origins(env.get("GATEWAY_CORS_ORIGINS") or ""),
        )
        if found.max_bodies_bytes < found.max_body_bytes:
            raise AccessError(
                f"GATEWAY_MAX_BODIES_BYTES: expected at least GATEWAY_MAX_BODY_BYTES, {found.max_body_bytes}, "
                f"got {found.max_bodies_bytes}"
            )
        return found


def _hosts(given: str) -> tuple[str, ...]:
    names = tuple(name.strip().lower().rstrip(".") for name in given.split(",") if name.strip())
    if any(not _HOST.fullmatch(name) for name in names):
        raise AccessError(
            "GATEWAY_HOSTS: expected names such as medserve.hospital.example, without a port, got another"
        )
    return names


def is_open(settings: AccessSettings) -> bool:
    """Whether nobody is asked who he is."""
    return settings.keys_file is None and not settings.keys and settings.oidc_issuer is None


def _issuer(env: Mapping[str, str]) -> tuple[str | None, str | None, str | None]:
    issuer, audience, jwks = (env.get(f"GATEWAY_OIDC_{name}") or None for name in ("ISSUER", "AUDIENCE", "JWKS"))
    if issuer is None:
        if audience or jwks:
            raise AccessError(
                "GATEWAY_OIDC_ISSUER: expected the tokens' issuer beside the other GATEWAY_OIDC_, got none"
            )
        return None, None, None
    if audience is None:
        raise AccessError("GATEWAY_OIDC_AUDIENCE: expected what the issuer calls this gateway, got nothing")
    _check_url("GATEWAY_OIDC_ISSUER", issuer)
    if jwks is not None and "://" in jwks:
        _check_url("GATEWAY_OIDC_JWKS", jwks)
    return issuer, audience, jwks


def _check_url(name: str, given: str) -> None:
    """Keys that came unencrypted from elsewhere could be anybody's."""
    if not is_safe_url(given):
        raise AccessError(
            f"{name}: expected https://… without a user in it (http:// on this machine), got another text"
        )


def is_safe_url(given: str) -> bool:
    """Whether what is fetched from there is the named host's."""
    try:
        parts = urlsplit(given)
        parts.port  # noqa: B018 — raises where it is no number
    except ValueError:
        return False
    local = parts.scheme == "http" and parts.hostname in _LOOPBACK
    return bool(parts.hostname) and "@" not in parts.netloc and (parts.scheme == "https" or local)


def _origins(given: str) -> tuple[str, ...]:
    """Separated by spaces or commas."""
    found = tuple(given.replace(",", " ").split())
    for one in found:
        try:
            parts = urlsplit(one)
            whole = f"{parts.scheme}://{parts.netloc}" == one and parts.scheme in ("http", "https") and parts.hostname
        except ValueError:
            whole = None
        if not whole or "*" in one or "@" in one or one != one.lower():
            raise AccessError(
                f"GATEWAY_CORS_ORIGINS: expected origins such as https://front.example, in lower case and without a "
                f"path, got {one!r}. Name each: `*` would let every web page ask."
            )
    return found


def _whole(env: Mapping[str, str], name: str, default: int, most: int) -> int:
    given = env.get(name) or str(default)
    if not given.isascii() or not given.isdigit() or len(given) > 15 or not 1 <= int(given) <= most:
        raise AccessError(f"{name}: expected a number from 1 to {most}, got {given!r}")
    return int(given)


def _number(env: Mapping[str, str], name: str, most: float, *, default: float = math.nan) -> float:
    given = env.get(name) or str(default)
    try:
        found = float(given)
    except ValueError:
        found = math.nan
    if not 0 < found <= most:  # nor NaN
        raise AccessError(f"{name}: expected a number above 0 and up to {most:.0f}, got {given!r}")
    return found
