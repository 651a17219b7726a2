"""Where a server is, and how to prove who one is."""

from __future__ import annotations

import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

_NAME, _VALUE = re.compile(r"[0-9a-z_.-]+"), re.compile(r"[\x20-\x7e]*")  # what gRPC takes, and HTTP all the more
# What frames a message, and what each call has of its own.
_OURS = {"accept-encoding", "connection", "content-length", "content-type", "host", "inference-header-content-length",
         "te", "transfer-encoding", "upgrade"}  # fmt: skip
SCHEMES = {"grpc": False, "grpcs": True, "http": False, "https": True}  # whether it is encrypted


@dataclass(frozen=True, slots=True, kw_only=True)
class TLS:
    """For `grpcs://` and `https://`. Without it the system's certificate authorities are trusted.

    Args:
        ca: PEM file of the authorities to trust instead.
        certificate: PEM file of this client's own, for servers that ask for one.
        key: PEM file of its private key.
    """

    ca: Path | None = None
    certificate: Path | None = None
    key: Path | None = None

    def __post_init__(self) -> None:
        if (self.certificate is None) != (self.key is None):
            raise ValueError("tls: expected a certificate and its key, or neither, got one of them")

    def context(self) -> ssl.SSLContext:
        """For HTTP.

        Raises:
            OSError: a file that is not there, or no PEM (ssl.SSLError).
        """
        made = ssl.create_default_context(cafile=self.ca)
        if self.certificate is not None:
            made.load_cert_chain(self.certificate, self.key)
        return made


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """A server, and what every request to it carries.

    Args:
        scheme: one of SCHEMES.
        host: name, IPv4, or IPv6 without brackets.
        port: 1..65535.
        tls: see TLS.
        headers: HTTP headers, and gRPC metadata; lower case.
    """

    scheme: str
    host: str
    port: int
    tls: TLS = field(default_factory=TLS)
    headers: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def read(
        cls, url: str, tls: TLS | None = None, headers: Mapping[str, str] | None = None, api_key: str | None = None
    ) -> Address:
        """Of a URL, and of what the user gave beside it.

        Raises:
            ValueError: another kind of URL, or TLS files or a key for a connection that is not encrypted
                and leaves this machine.
        """
        parts = urlsplit(url)
        try:
            port = parts.port
        except ValueError:  # no number, or beyond 65535
            port = None
        beside = parts.path.strip("/") or parts.query or parts.fragment
        if "@" in parts.netloc:
            raise ValueError("url: expected no user and password in it. Pass headers= or api_key=.")
        if parts.scheme not in SCHEMES or not parts.hostname or not port or beside:
            raise ValueError(f"url: expected {' or '.join(SCHEMES)}://host:port, got {url!r}")
        for name, value in (headers or {}).items():
            if not _NAME.fullmatch(name.lower()) or not _VALUE.fullmatch(value):
                raise ValueError(f"headers: expected a header's name and a line of ASCII, got {name!r}: {value!r}")
            if name.lower() in _OURS or name.lower().endswith("-bin"):
                raise ValueError(f"headers: expected none of {', '.join(sorted(_OURS))}, *-bin, got {name!r}")
        if api_key is not None and not _VALUE.fullmatch(api_key):
            raise ValueError("api_key: expected a line of ASCII, got another text")
        encrypted = SCHEMES[parts.scheme]
        if tls is not None and not encrypted:
            raise ValueError(f"tls: expected a url with grpcs:// or https://, got {url!r}")
        sent = {name.lower(): value for name, value in (headers or {}).items()}
        if api_key is not None:
            if not encrypted and parts.hostname not in ("localhost", "127.0.0.1", "::1"):
                raise ValueError(f"api_key: expected grpcs:// or https://, or everyone on the way can read it: {url!r}")
            sent["authorization"] = f"Bearer {api_key}"
        return cls(scheme=parts.scheme, host=parts.hostname, port=port, tls=tls or TLS(), headers=sent)

    @property
    def encrypted(self) -> bool:
        """Whether TLS protects it."""
        return SCHEMES[self.scheme]

    @property
    def netloc(self) -> str:
        """host:port, with the brackets of IPv6."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"
