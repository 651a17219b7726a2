"""How TorchServe is started and asked."""

from __future__ import annotations

import subprocess
from pathlib import Path
from string import Template

from benchmarks.peers.environments import program
from benchmarks.peers.peer import RAW, Command, Peer, as_it_is, numbers
from benchmarks.peers.task import Task
from benchmarks.ports import free_ports
from server.machine import usable_cores

_MODEL = "peer"


def start(task: Task, folder: Path) -> Command:
    management, metrics, grpc, grpc_management = free_ports(4)
    values = {"PORT": task.port, "MANAGEMENT": management, "METRICS": metrics, "WORKERS": task.workers}
    values |= {"GRPC": grpc, "GRPC_MANAGEMENT": grpc_management}
    for name in ("config.properties", "model-config.yaml"):
        (folder / name).write_text(Template((PEER.folder / name).read_text("utf-8")).substitute(values), "utf-8")
    archive = [program(PEER.name, "torch-model-archiver"), "--model-name", _MODEL, "--version", "1.0"]
    archive += ["--handler", str(PEER.folder / "service.py"), "--config-file", str(folder / "model-config.yaml")]
    subprocess.run([*archive, "--export-path", str(folder)], check=True)
    serve = ("torchserve", "--foreground", "--ncs", "--model-store", str(folder), "--models", f"{_MODEL}={_MODEL}.mar")
    return Command(
        arguments=(*serve, "--ts-config", str(folder / "config.properties"), "--disable-token-auth"),
        variables={"LOG_LOCATION": str(folder), "METRICS_LOCATION": str(folder), "TEMP": str(folder)},
    )


PEER = Peer(
    name="torchserve",
    version="TorchServe 0.12.0",
    start=start,
    path=f"/predictions/{_MODEL}",
    headers=RAW,
    body=as_it_is,
    parse=numbers,
    service=("service.py", "model-config.yaml", "config.properties"),
    settings=(
        "batchSize=8, maxBatchDelay=50 ms: docs.pytorch.org/serve/batch_inference_with_ts.html, ResNet-152's example",
        "workers: from half the cores up to as many as there are, with torch.set_num_threads(1): "
        "docs.pytorch.org/serve/performance_guide.html, 'Concurrency and number of workers'",
    ),
    workers={"documented": usable_cores(), "engine": usable_cores()},
)
