"""python -m gateway.listens: exits with 0 where the gateway on this machine answers, else with 1: for health checks.

It asks for the page, which needs no key. Whether the server behind it is ready is GET /health's matter.
"""

from __future__ import annotations

import http.client
import os
import sys

TIMEOUT_S = 4.0

if __name__ == "__main__":
    connection = http.client.HTTPConnection("127.0.0.1", int(os.environ.get("GATEWAY_PORT") or 8080), timeout=TIMEOUT_S)
    try:
        connection.request("HEAD", "/")
        sys.exit(connection.getresponse().status != http.HTTPStatus.OK)
    except (OSError, http.client.HTTPException):
        sys.exit(1)
