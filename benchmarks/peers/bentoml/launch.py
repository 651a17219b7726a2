"""How BentoML is started and asked."""

from __future__ import annotations

import json
from pathlib import Path

from benchmarks.peers.peer import ROOT, Command, Peer, multipart
from benchmarks.peers.task import HOST, Task
from server.machine import usable_cores


def start(task: Task, folder: Path) -> Command:
    serve = ("bentoml", "serve", "benchmarks.peers.bentoml.service:Service", "--working-dir", str(ROOT))
    return Command(
        arguments=(*serve, "--host", HOST, "--port", str(task.port)),
        variables={"BENTOML_DO_NOT_TRACK": "True", "BENTOML_HOME": str(folder)},
    )


def _parse(answer: bytes) -> list[float]:
    found: list[float] = json.loads(answer)[0]
    return found


_headers, _body = multipart("images")
_CORES = usable_cores()
PEER = Peer(
    name="bentoml",
    version="BentoML 1.4.40",
    start=start,
    path="/predict",
    headers=_headers,
    body=_body,
    parse=_parse,
    service=("service.py",),
    settings=(
        "batchable=True with the defaults max_batch_size=100 and max_latency_ms=60000: "
        "docs.bentoml.com/en/latest/get-started/adaptive-batching.html",
        "workers: as many as cores, docs.bentoml.com/en/latest/build-with-bentoml/parallelize-requests.html, "
        "'CPU workloads'",
        "the picture as a form's file, Path in the service: docs.bentoml.com/en/latest/build-with-bentoml/iotypes.html",
    ),
    workers={"documented": _CORES, "engine": _CORES},
)
