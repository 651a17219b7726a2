"""Every peer, by name."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.peers.bentoml.launch import PEER as BENTOML
from benchmarks.peers.fastapi.launch import ASYNC as FASTAPI_ASYNC
from benchmarks.peers.fastapi.launch import PEER as FASTAPI
from benchmarks.peers.litserve.launch import PEER as LITSERVE
from benchmarks.peers.mlserver.launch import PEER as MLSERVER
from benchmarks.peers.peer import Peer
from benchmarks.peers.ray.launch import PEER as RAY
from benchmarks.peers.textbook.launch import PEER as TEXTBOOK
from benchmarks.peers.torchserve.launch import PEER as TORCHSERVE

PEERS = {peer.name: peer for peer in (FASTAPI, FASTAPI_ASYNC, LITSERVE, BENTOML, MLSERVER, RAY, TORCHSERVE, TEXTBOOK)}


def select(names: Sequence[str]) -> list[Peer]:
    """Those of these names; all where there are none.

    Raises:
        ValueError: an unknown name; the message lists the valid ones.
    """
    if unknown := [name for name in names if name not in PEERS]:
        raise ValueError(f"expected some of {', '.join(PEERS)}; got {', '.join(unknown)}")
    return [PEERS[name] for name in names] or list(PEERS.values())
