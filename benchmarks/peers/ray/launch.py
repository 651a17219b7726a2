"""How Ray Serve is started and asked."""

from __future__ import annotations

from pathlib import Path

from benchmarks.peers.peer import RAW, Command, Peer, as_it_is, numbers
from benchmarks.peers.task import Task


def start(task: Task, folder: Path) -> Command:
    del task
    # Ray's sockets lie below its folder, and a socket's path has at most 107 characters.
    variables = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_TMPDIR": str(folder), "RAY_SERVE_LOG_TO_STDERR": "0"}
    variables["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"  # keeps the loopback's address as the node's
    return Command(arguments=("python", "-m", "benchmarks.peers.ray.service"), variables=variables)


PEER = Peer(
    name="ray",
    version="Ray Serve 2.60.0",
    start=start,
    path="/",
    headers=RAW,
    body=as_it_is,
    parse=numbers,
    service=("service.py",),
    settings=(
        "max_batch_size=8, a power of two, batch_wait_timeout_s=0.01, the default: "
        "docs.ray.io/en/latest/serve/advanced-guides/dyn-req-batch.html",
        "max_ongoing_requests=128: all of a hundred callers; the default, 5, would hold batches below 8",
        "1 replica with num_cpus = both cores, from which Ray sets OMP_NUM_THREADS: "
        "docs.ray.io/en/latest/serve/resource-allocation.html",
    ),
)
