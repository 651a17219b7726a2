"""How FastAPI is started and asked."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

from benchmarks.peers.peer import Command, Peer, multipart, numbers
from benchmarks.peers.task import HOST, Task


def start(service: str, task: Task, folder: Path) -> Command:
    del folder
    uvicorn = ("uvicorn", f"benchmarks.peers.fastapi.{service}:app", "--host", HOST, "--port", str(task.port))
    return Command(arguments=(*uvicorn, "--workers", str(task.workers), "--no-access-log"))


_headers, _body = multipart("file")
PEER = Peer(
    name="fastapi",
    version="FastAPI 0.165.0, uvicorn 0.54.0",
    start=partial(start, "service"),
    path="/predict",
    headers=_headers,
    body=_body,
    parse=numbers,
    service=("service.py",),
    settings=(
        "a plain def endpoint, because it blocks: fastapi.tiangolo.com/async, 'Path operation functions'",
        "1 worker, uvicorn's default; more are the machine's choice: fastapi.tiangolo.com/deployment/server-workers",
    ),
)
ASYNC = replace(
    PEER,
    name="fastapi_async",
    package=PEER.name,
    start=partial(start, "service_async"),
    service=("service_async.py",),
    settings=("an async def endpoint, which its documentation advises against for what blocks", PEER.settings[1]),
)
