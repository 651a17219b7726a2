"""What is loaded: a server's URLs, and what watches it."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.live import Server
from benchmarks.load.watch import Watch


@dataclass(frozen=True, slots=True)
class Target:
    """A server that is to be loaded.

    Args:
        urls: by protocol.
        watch: reads what it counts.
    """

    urls: dict[str, str]
    watch: Watch


@contextlib.contextmanager
def own_target(
    repository: Path, models: Sequence[str], *, step_back: bool = False, options: Sequence[str] = ()
) -> Iterator[Target]:
    """A server for as long as the block lasts, with just these models, ready.

    Args:
        repository: to serve.
        models: names.
        step_back: whether it leaves the cores to the load generator wherever both want them: for loads that a server
            cannot carry, where callers would otherwise be late themselves.
        options: further arguments of `python -m server`.

    Raises:
        ServerEnded: it did not become ready.
    """
    with tempfile.TemporaryDirectory() as folder, Server(repository, Path(folder), models, options) as server:
        server.wait_until_ready()
        if step_back:
            server.step_back()
        metrics = f"http://127.0.0.1:{server.metrics}/metrics"
        watch = Watch(f"127.0.0.1:{server.grpc}", metrics, server.cpu_s, server.memory_mb)
        yield Target({"grpc": server.grpc_url, "http": server.http_url}, watch)
        watch.close()
