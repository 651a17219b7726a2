"""The options that every command has, and the client that they make."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from medserve.address import TLS
from medserve.client import DEFAULT_URL, Client

Url = Annotated[str, typer.Option(envvar="MEDSERVE_URL", help="grpc://, grpcs://, http:// or https:// host:port")]
Timeout = Annotated[float, typer.Option(help="of each call, in seconds")]
Key = Annotated[str | None, typer.Option(envvar="MEDSERVE_API_KEY", help="sent as a bearer token", show_envvar=True)]
Authorities = Annotated[Path | None, typer.Option(envvar="MEDSERVE_CA", help="PEM file of authorities to trust")]
URL, TIMEOUT_S = DEFAULT_URL, 120.0


def connect(url: str, timeout_s: float, api_key: str | None, ca: Path | None) -> Client:
    """The client that the options describe."""
    return Client(url, timeout_s=timeout_s, api_key=api_key, tls=TLS(ca=ca) if ca else None)
