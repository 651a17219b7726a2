"""python -m server.ready: exits with 0 where the server on this machine is ready, else with 1: for health checks.

Nothing is imported that takes long: it runs every few seconds.
"""

from __future__ import annotations

import os
import sys
from http import HTTPStatus

from server.asking import get

TIMEOUT_S = 10.0

if __name__ == "__main__":
    status, told = get("127.0.0.1", int(os.environ.get("HEALTH_PORT") or 8003), "/ready", TIMEOUT_S)
    print(told.decode("utf-8", "replace").strip() or "nobody answers")
    sys.exit(status != HTTPStatus.OK)
