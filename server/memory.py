"""What this server holds of the machine's memory."""

from __future__ import annotations

import contextlib
import os

import psutil

LAUNCHER, TRITON, WORKERS = "launcher", "triton", "workers"


def held_bytes() -> dict[str, int]:
    """Of the launcher, of Triton and of its workers; pages that several share are counted once."""
    found = dict.fromkeys((LAUNCHER, TRITON, WORKERS), 0)
    launcher = psutil.Process(os.getpid())
    servers = launcher.children()
    parts = [(LAUNCHER, launcher), *((TRITON, server) for server in servers)]
    for server in servers:
        with contextlib.suppress(psutil.NoSuchProcess):
            parts += ((WORKERS, worker) for worker in server.children(recursive=True))
    for part, process in parts:
        with contextlib.suppress(psutil.NoSuchProcess):
            found[part] += _held(process)
    return found


def _held(process: psutil.Process) -> int:
    try:
        return int(process.memory_full_info().pss)
    except psutil.AccessDenied:  # a kernel that shows nobody's pages
        return int(process.memory_info().rss)
