"""What of this machine decides what a network computes in, and how fast: its CPU's features, its cores, its GPU."""

from __future__ import annotations

import math
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from server.gpu import compute_capability

SHM = Path("/dev/shm")
_CPUINFO = Path("/proc/cpuinfo")
_QUOTA = Path("/sys/fs/cgroup/cpu.max")
_MEMORY_LIMIT = Path("/sys/fs/cgroup/memory.max")
_TASK_LIMIT = Path("/sys/fs/cgroup/pids.max")
# Units for eight and sixteen bits, on x86-64 and on arm64. What else a CPU has, changes no choice.
_DECIDING = frozenset(
    {"avx2", "avx512f", "avx_vnni", "avx512_vnni", "avx512_bf16", "amx_bf16", "amx_int8", "asimddp", "bf16", "i8mm"}
)


@dataclass(frozen=True, slots=True)
class Machine:
    """What there is to serve with.

    Args:
        cores: see `usable_cores`.
        memory_mb: of the machine, or of the container that this runs in.
        cpu: see `cpu_features`.
        gpu: compute capability of its first GPU, such as "9.0"; "": it has none.
        shared_mb: free in /dev/shm, which a container gets little of; None: not known.
        tasks: processes and threads that its container may have; None: no limit.
    """

    cores: int
    memory_mb: int
    cpu: tuple[str, ...]
    gpu: str = ""
    shared_mb: int | None = None
    tasks: int | None = None

    @classmethod
    def this(cls) -> Machine:
        """This one."""
        shared_mb = shutil.disk_usage(SHM).free >> 20 if SHM.is_dir() else None
        return cls(usable_cores(), _memory_mb(), cpu_features(), compute_capability() or "", shared_mb, _task_limit())

    def __str__(self) -> str:
        gpu = f"a GPU of compute capability {self.gpu}" if self.gpu else "no GPU"
        units = " ".join(self.cpu) or "no units that decide anything"
        return f"{self.cores} cores, {self.memory_mb:,} MB, {units}, {gpu}"


def cpu_features(cpuinfo: Path = _CPUINFO) -> tuple[str, ...]:
    """Sorted; empty where the kernel does not tell."""
    try:
        lines = cpuinfo.read_text("utf-8", "replace").splitlines()
    except OSError:
        return ()
    told = (line.partition(":")[2].split() for line in lines if line.startswith(("flags", "Features")))
    return tuple(sorted(_DECIDING & set(next(told, []))))


def usable_cores(quota: Path = _QUOTA) -> int:
    """Those that this process may run on, or fewer where its container may use less of their time."""
    cores = len(os.sched_getaffinity(0))
    try:
        most, _, period = quota.read_text("utf-8").strip().partition(" ")
        return max(1, min(cores, math.ceil(int(most) / int(period))))
    except (OSError, ValueError, ZeroDivisionError):  # no such limit: "max 100000"
        return cores


def _memory_mb(limit: Path = _MEMORY_LIMIT) -> int:
    physical = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    try:
        return min(physical, int(limit.read_text("utf-8"))) >> 20
    except (OSError, ValueError):  # no such limit: "max"
        return physical >> 20


def _task_limit(limit: Path = _TASK_LIMIT) -> int | None:
    try:
        return int(limit.read_text("utf-8"))
    except (OSError, ValueError):  # no such limit: "max"
        return None
