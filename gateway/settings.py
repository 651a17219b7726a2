"""What the environment says of a gateway."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from gateway.audit import DEFAULT_URL, chain_key
from medserve import TLS


class SettingsError(ValueError):
    """A variable that cannot be meant."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Of the gateway itself; who may is `gateway.access`'s matter.

    Args:
        server: URL of the server that it stands before.
        server_ca: PEM file of the authority that signed its certificate, and other versions' servers'; None: those that
            this machine trusts.
        host, port: where it listens.
        timeout_s: of a call to the server.
        audit: URL of the audit log's database.
        audit_key: secret of its chain; None for none.
        routes: file of versions; None: none but the server's own.
        most_items: in one batch.
        window: answers that drift looks at.
    """

    server: str = "grpc://127.0.0.1:8001"
    server_ca: Path | None = None
    host: str = "127.0.0.1"
    port: int = 8080
    timeout_s: float = 30.0
    audit: str = DEFAULT_URL
    audit_key: bytes | None = field(default=None, repr=False)
    routes: Path | None = None
    most_items: int = 64
    window: int = 200

    @classmethod
    def from_environment(cls, env: Mapping[str, str]) -> Settings:
        """Raises SettingsError: the variable, what was expected, what came."""
        server = env.get("GATEWAY_SERVER") or f"grpc://127.0.0.1:{_whole(env, 'GRPC_PORT', 8001, 65535)}"
        return cls(
            server=server,
            server_ca=_authority(env, server),
            host=_host(env),
            port=_whole(env, "GATEWAY_PORT", 8080, 65535),
            timeout_s=_seconds(env, "GATEWAY_TIMEOUT_S", 30.0),
            audit=env.get("AUDIT_URL") or DEFAULT_URL,
            audit_key=chain_key(env),
            routes=Path(env["GATEWAY_ROUTES"]) if env.get("GATEWAY_ROUTES") else None,
            most_items=_whole(env, "GATEWAY_MOST_ITEMS", 64, 1000),
            window=_whole(env, "GATEWAY_DRIFT_WINDOW", 200, 100_000),
        )

    def tls(self, url: str) -> TLS | None:
        """How to know a server; None: of one that is asked in plain text, or by what this machine trusts."""
        return TLS(ca=self.server_ca) if self.server_ca and _is_encrypted(url) else None

    @property
    def remote(self) -> bool:
        """Whether others than this machine can reach it."""
        return not ipaddress.ip_address(self.host).is_loopback


def _authority(env: Mapping[str, str], server: str) -> Path | None:
    given = env.get("GATEWAY_SERVER_CA")
    if not given:
        return None
    if not _is_encrypted(server):
        raise SettingsError(f"GATEWAY_SERVER_CA: expected grpcs:// or https:// as GATEWAY_SERVER, got {server!r}")
    try:
        TLS(ca=Path(given)).context()
    except OSError as exc:  # no such file, or no PEM
        raise SettingsError(f"GATEWAY_SERVER_CA: expected a PEM file, got none at {given!r}") from exc
    return Path(given)


def _is_encrypted(url: str) -> bool:
    return url.startswith(("grpcs://", "https://"))


def _host(env: Mapping[str, str]) -> str:
    given = env.get("GATEWAY_HOST") or "127.0.0.1"
    try:
        return str(ipaddress.ip_address("127.0.0.1" if given == "localhost" else given))
    except ValueError as exc:
        raise SettingsError(f"GATEWAY_HOST: expected an address of this machine, got {given!r}") from exc


def _whole(env: Mapping[str, str], name: str, default: int, most: int) -> int:
    given = env.get(name) or str(default)
    if not given.isascii() or not given.isdigit() or not 1 <= int(given) <= most:
        raise SettingsError(f"{name}: expected a number from 1 to {most}, got {given!r}")
    return int(given)


def _seconds(env: Mapping[str, str], name: str, default: float) -> float:
    given = env.get(name) or str(default)
    try:
        found = float(given)
    except ValueError:
        found = -1.0
    if not 0 < found <= 600:  # nor NaN
        raise SettingsError(f"{name}: expected seconds above 0 and up to 600, got {given!r}")
    return found
