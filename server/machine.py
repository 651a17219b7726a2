"""The features of this CPU that decide what a network computes in, and how fast."""

from __future__ import annotations

from pathlib import Path

_CPUINFO = Path("/proc/cpuinfo")
# Units for eight and sixteen bits, on x86-64 and on arm64. What else a CPU has, changes no choice.
_DECIDING = frozenset(
    {"avx2", "avx512f", "avx_vnni", "avx512_vnni", "avx512_bf16", "amx_bf16", "amx_int8", "asimddp", "bf16", "i8mm"}
)


def cpu_features(cpuinfo: Path = _CPUINFO) -> tuple[str, ...]:
    """Sorted; empty where the kernel does not tell."""
    try:
        lines = cpuinfo.read_text("utf-8", "replace").splitlines()
    except OSError:
        return ()
    told = (line.partition(":")[2].split() for line in lines if line.startswith(("flags", "Features")))
    return tuple(sorted(_DECIDING & set(next(told, []))))
