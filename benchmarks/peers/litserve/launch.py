"""How LitServe is started and asked."""

from __future__ import annotations

import json
from pathlib import Path

from benchmarks.peers.peer import JSON, Command, Peer, text
from benchmarks.peers.task import Task


def start(task: Task, folder: Path) -> Command:
    del task, folder
    return Command(arguments=("python", "-m", "benchmarks.peers.litserve.service"))


def _body(file: bytes) -> bytes:
    return json.dumps({"image": text(file)}).encode()


def _parse(answer: bytes) -> list[float]:
    found: list[float] = json.loads(answer)["probabilities"]
    return found


PEER = Peer(
    name="litserve",
    version="LitServe 0.2.19",
    start=start,
    path="/predict",
    headers=JSON,
    body=_body,
    parse=_parse,
    service=("service.py",),
    settings=(
        "max_batch_size=8, batch_timeout=0.1 s on the LitAPI: its docstring's example, and "
        "lightning.ai/docs/litserve/features/batching",
        "workers_per_device=1, the default: lightning.ai/docs/litserve/api-reference/litserver",
        "the picture as base64 in JSON, the default request; a form's file does not pass to another process",
    ),
)
