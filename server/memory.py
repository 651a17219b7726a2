"""What this server holds of the machine's memory."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

import psutil

LAUNCHER, TRITON, WORKERS = "launcher", "triton", "workers"
_KEPT = ("Pss_Anon:", "Pss_Shmem:")


def held_bytes() -> dict[str, int]:
    """Of the launcher, of Triton and of its workers: see `kept_bytes`."""
    found = dict.fromkeys((LAUNCHER, TRITON, WORKERS), 0)
    launcher = psutil.Process(os.getpid())
    servers = [child for child in launcher.children() if _name(child) == "tritonserver"]  # another one may export
    parts = [(LAUNCHER, launcher.pid), *((TRITON, server.pid) for server in servers)]
    for server in servers:
        with contextlib.suppress(psutil.NoSuchProcess):
            parts += ((WORKERS, worker.pid) for worker in server.children(recursive=True))
    for part, pid in parts:
        found[part] += kept_bytes(pid)
    return found


def _name(process: psutil.Process) -> str:
    """ "" if it has ended."""
    try:
        return process.name()
    except psutil.NoSuchProcess:
        return ""


def kept_bytes(pid: int) -> int:
    """What a process has written and nobody can take back; what several share is counted once. 0: it has ended.

    Not the pages of its libraries: the kernel drops and reads those as it likes, and a process's share of them changes
    with every other program that uses the same.
    """
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text("ascii").splitlines()
    except OSError:  # ended, or another user's
        return 0
    return sum(int(line.split()[1]) << 10 for line in lines if line.startswith(_KEPT))
