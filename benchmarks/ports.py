"""Ports of the loopback that nobody listens on."""

from __future__ import annotations

import random
import socket
from contextlib import ExitStack
from pathlib import Path

HOST = "127.0.0.1"
_LOWEST = 15_000
_OUTGOING = Path("/proc/sys/net/ipv4/ip_local_port_range")


def free_ports(count: int) -> list[int]:
    """All held at once, so that no two are the same; none that the kernel gives to outgoing connections, lest one be
    taken before its server gets to it (measured: one start of some hundred failed)."""
    below = int(_OUTGOING.read_text().split()[0]) if _OUTGOING.is_file() else 32_768
    candidates = list(range(_LOWEST, below)) if below > _LOWEST + count else [0] * count
    random.SystemRandom().shuffle(candidates)
    with ExitStack() as stack:
        found: list[int] = []
        while len(found) < count:
            one = stack.enter_context(socket.socket())
            try:
                one.bind((HOST, candidates.pop()))
            except OSError:
                continue
            found.append(one.getsockname()[1])
        return found
