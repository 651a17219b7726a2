"""One request to a server on this machine, over HTTP."""

from __future__ import annotations

import http.client
from collections.abc import Mapping


def get(host: str, port: int, path: str, timeout_s: float) -> tuple[int, bytes]:
    """(status, body); (0, nothing): there was no response in time."""
    return send("GET", host, port, path, timeout_s)


def send(
    method: str, host: str, port: int, path: str, timeout_s: float, headers: Mapping[str, str] | None = None
) -> tuple[int, bytes]:
    """(status, body); (0, nothing): there was no response in time."""
    connection = http.client.HTTPConnection(host, port, timeout=timeout_s)
    try:
        connection.request(method, path, headers=dict(headers or {}))
        response = connection.getresponse()
        return response.status, response.read()
    except (OSError, http.client.HTTPException):
        return 0, b""
    finally:
        connection.close()
