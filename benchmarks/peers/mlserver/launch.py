"""How MLServer is started and asked."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from benchmarks.peers.peer import JSON, Command, Peer, text
from benchmarks.peers.task import HOST, Task
from benchmarks.ports import free_ports


def start(task: Task, folder: Path) -> Command:
    shutil.copy(PEER.folder / "model-settings.json", folder)
    grpc, metrics = free_ports(2)
    variables = {
        "MLSERVER_HOST": HOST,
        "MLSERVER_DEBUG": "false",  # no access log
        "MLSERVER_HTTP_PORT": str(task.port),
        "MLSERVER_GRPC_PORT": str(grpc),
        "MLSERVER_METRICS_PORT": str(metrics),
        "MLSERVER_METRICS_DIR": str(folder),
        "MLSERVER_PARALLEL_WORKERS": str(task.workers),
    }
    return Command(arguments=("mlserver", "start", str(folder)), variables=variables)


def _body(file: bytes) -> bytes:
    tensor = {"name": "image", "shape": [1], "datatype": "BYTES", "data": [text(file)]}
    return json.dumps({"inputs": [{**tensor, "parameters": {"content_type": "base64"}}]}).encode()


def _parse(answer: bytes) -> list[float]:
    found: list[float] = json.loads(answer)["outputs"][0]["data"]
    return found


PEER = Peer(
    name="mlserver",
    version="MLServer 1.7.1",
    start=start,
    path="/v2/models/peer/infer",
    headers=JSON,
    body=_body,
    parse=_parse,
    service=("service.py", "model-settings.json"),
    settings=(
        "max_batch_size=8, max_batch_time=0.05 s: both have to be chosen, "
        "docs.seldon.ai/mlserver/user-guide/adaptive-batching ('usually found through experimentation')",
        "parallel_workers=1, the default of 1.7.1 (older: 4): docs.seldon.ai/mlserver/user-guide/parallel-inference",
        "the picture with the content type base64: docs.seldon.ai/mlserver/user-guide/content-type",
    ),
)
