"""One question to a server on this machine, over HTTP."""

from __future__ import annotations

import http.client


def get(host: str, port: int, path: str, timeout_s: float) -> tuple[int, bytes]:
    """(status, body); (0, nothing): nobody answered in time."""
    connection = http.client.HTTPConnection(host, port, timeout=timeout_s)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        return response.status, response.read()
    except (OSError, http.client.HTTPException):
        return 0, b""
    finally:
        connection.close()
