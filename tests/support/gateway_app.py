"""The whole gateway in this process: no program is started, and time is a test's own."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from starlette.testclient import TestClient

from gateway.access import AccessSettings
from gateway.app import create_app
from gateway.settings import Settings
from medserve.testing import FakeModel, FakeServer

OWN = Settings().server


def film_server(**report: object) -> FakeServer:
    """A server in memory with one model, `film`; `report` changes what it answers."""
    return FakeServer(
        {"film": FakeModel(labels=("well", "ill"), probabilities=(0.2, 0.8), answering=lambda _: dict(report))}
    )


@contextmanager
def gateway_app(
    folder: Path,
    servers: Mapping[str, FakeServer] | None = None,
    *,
    clock: Callable[[], float] = time.monotonic,
    **variables: str,
) -> Iterator[TestClient]:
    """A gateway, and a client of it.

    Args:
        folder: for its audit log.
        servers: in memory, by URL; others are connected to.
        clock: seconds that only grow.
        variables: of its environment.
    """
    folder.mkdir(parents=True, exist_ok=True)
    app = create_app(
        Settings.from_environment({"AUDIT_URL": f"sqlite:///{folder}/audit.sqlite3"} | variables),
        AccessSettings.from_environment(variables),
        transports={url: server.asynchronous() for url, server in (servers or {}).items()},
        clock=clock,
    )
    with TestClient(app, base_url="http://127.0.0.1") as client:
        yield client


def audit_lines(folder: Path) -> list[dict[str, Any]]:
    """The lines of its audit log, in their order."""
    with sqlite3.connect(folder / "audit.sqlite3") as database:
        found = database.execute("SELECT line FROM audit_lines ORDER BY sequence").fetchall()
    database.close()
    return [entry for (line,) in found if "prediction_id" in (entry := json.loads(line))]
