"""python -m gateway: the front door, until Ctrl-C or SIGTERM."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Mapping
from pathlib import Path

import uvicorn

from gateway.access import AccessSettings, is_open
from gateway.access.connections import BoundedHead
from gateway.app import create_app
from gateway.audit import DEFAULT_URL, AuditError
from gateway.settings import Settings, SettingsError

OWN_FOLDER = Path(".run")
DRAIN_S = 35  # a call's own timeout, and a little more


def main(env: Mapping[str, str]) -> int:
    """Returns the exit status: 0 after a drain, 1 after a message on stderr."""
    try:
        settings, access = Settings.from_environment(env), AccessSettings.from_environment(env)
        _check_open(settings, access, env)
        if settings.audit == DEFAULT_URL:  # any other place is the operator's, and is there
            OWN_FOLDER.mkdir(mode=0o700, exist_ok=True)
        app = create_app(settings, access)
    except (ValueError, OSError, AuditError) as exc:
        print(f"gateway: {exc}", file=sys.stderr)
        return 1
    # The audit log tells its head there, for whoever notes it elsewhere.
    logging.getLogger("httpx").setLevel(logging.WARNING)  # it tells each request
    logging.getLogger("python_multipart").setLevel(logging.ERROR)  # and it of each bad form, with a byte of it
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(name)s: %(message)s")
    print(f"gateway: http://{settings.host}:{settings.port} before {settings.server}", file=sys.stderr, flush=True)
    server = uvicorn.Server(
        uvicorn.Config(
            app,
            http=BoundedHead,
            host=settings.host,
            port=settings.port,
            access_log=False,  # paths may hold what a caller typed; the audit log says who asked what
            log_level="warning",
            server_header=False,
            timeout_graceful_shutdown=DRAIN_S,
        )
    )
    try:
        server.run()
    except SystemExit:  # uvicorn's own way to say that it did not start; it has said why
        return 1
    return 0 if server.started else 1


def _check_open(settings: Settings, access: AccessSettings, env: Mapping[str, str]) -> None:
    """Raises SettingsError: anybody could reach it, and nobody would be asked who he is."""
    if settings.remote and is_open(access) and env.get("ALLOW_REMOTE") != "1":
        raise SettingsError(
            f"GATEWAY_HOST: expected keys or OIDC where others can reach it, got {settings.host} without. "
            "Set GATEWAY_KEYS_FILE or GATEWAY_OIDC_ISSUER; ALLOW_REMOTE=1 overrides this."
        )


if __name__ == "__main__":
    sys.exit(main(os.environ))
