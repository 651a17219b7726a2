# mypy: ignore-errors
"""Keeps a replica's internal gRPC server, which Ray binds to every address, on the loopback."""

from ray.serve._private import replica

from benchmarks.peers.task import HOST


def stay_on_loopback() -> None:
    """Called in the replica before that server is made."""
    add = replica.add_port_to_grpc_server
    replica.add_port_to_grpc_server = lambda server, _: add(server, f"{HOST}:0")
