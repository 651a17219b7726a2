"""The chart's own Envoy configuration in front of servers on this machine."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import pytest
import yaml

from benchmarks.ports import free_ports
from server.asking import get
from tests.support.chart import rendered
from tests.support.clock import until

HOST = "127.0.0.1"


class Upstream(Protocol):
    """A server, by its ports."""

    grpc: int
    http: int
    health: int


@dataclass(frozen=True)
class Proxy:
    """A running one."""

    process: subprocess.Popen
    calls: int
    health: int
    admin: int
    folder: Path

    @property
    def url(self) -> str:
        return f"grpc://{HOST}:{self.calls}"

    @property
    def log(self) -> str:
        return (self.folder / "envoy.log").read_text()

    def ready(self) -> bool:
        return get(HOST, self.health, "/ready", 30)[0] == 200

    def told(self, counter: str) -> int:
        """One of its own numbers."""
        _, text = get(HOST, self.admin, f"/stats?filter=^{counter}$", 30)
        name, _, value = text.decode().strip().partition(": ")
        assert name == counter, text
        return int(value)


def envoy() -> str:
    """The program; skips the test where neither the system nor its wheel has it."""
    if found := shutil.which("envoy"):
        return found
    spec = importlib.util.find_spec("envoy")
    program = Path(spec.origin).parent / "_bin" / "envoy" if spec and spec.origin else None
    if program is None or not os.access(program, os.X_OK):
        pytest.skip("no envoy: neither on PATH nor in its wheel")
    return str(program)


def configuration(values: Path | None) -> dict[str, str]:
    """The files of the chart's proxy, by name."""
    (config,) = [one for one in rendered(values) if "envoy.yaml" in one.get("data", {})]
    return config["data"]


def moved(value: Any, folder: Path) -> Any:
    """A configuration whose files lie below a folder instead of a container's root."""
    if isinstance(value, dict):
        return {key: moved(one, folder) for key, one in value.items()}
    if isinstance(value, list):
        return [moved(one, folder) for one in value]
    places = ("/etc/envoy", "/tls")
    return f"{folder}{value}" if isinstance(value, str) and value.startswith(places) else value


@contextmanager
def proxied(
    classes: Mapping[str, Sequence[Upstream]], folder: Path, values: Mapping[str, Any] | None = None
) -> Iterator[Proxy]:
    """A proxy in front of these servers.

    Args:
        classes: servers of each class that the values name.
        folder: for its files; the certificate, if the values want one, lies in its `tls` already.
        values: of the chart, over the default ones.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "values.yaml").write_text(yaml.safe_dump(dict(values or {})), "utf-8")
    files = configuration(folder / "values.yaml")
    own = moved(yaml.safe_load(files["envoy.yaml"]), folder)
    calls, health, admin = free_ports(3)
    for listener, port in zip(own["static_resources"]["listeners"], (calls, health), strict=True):
        listener["address"]["socket_address"] = {"address": HOST, "port_value": port}
    own["admin"]["address"]["socket_address"]["port_value"] = admin
    for cluster in own["static_resources"]["clusters"]:
        if "load_assignment" in cluster:
            name, _, port_name = cluster["name"].rpartition("-")
            del cluster["cluster_type"]  # by name
            cluster["type"] = "STATIC"
            cluster["load_assignment"]["endpoints"] = [
                {"lb_endpoints": [_endpoint(s, port_name) for s in classes[name]]}
            ]
    place = folder / "etc" / "envoy"
    place.mkdir(parents=True, exist_ok=True)
    (place / "envoy.yaml").write_text(yaml.safe_dump(own), "utf-8")
    (place / "drain.sh").write_text(files["drain.sh"].replace("9901", str(admin)), "utf-8")
    if "certificate.yaml" in files:
        text = yaml.safe_dump(moved(yaml.safe_load(files["certificate.yaml"]), folder))
        (place / "certificate.yaml").write_text(text, "utf-8")
    command = [envoy(), "--config-path", str(place / "envoy.yaml"), "--use-dynamic-base-id"]
    with (folder / "envoy.log").open("w") as log:
        process = subprocess.Popen([*command, "--concurrency", "1", "--drain-strategy", "immediate"], stderr=log)
    proxy = Proxy(process, calls, health, admin, folder)
    try:
        _wait(proxy)
        yield proxy
    finally:
        process.terminate()
        process.wait(60)


def _endpoint(server: Upstream, port_name: str) -> dict[str, Any]:
    address = {"socket_address": {"address": HOST, "port_value": getattr(server, port_name)}}
    return {"endpoint": {"address": address, "health_check_config": {"port_value": server.health}}}


def _wait(proxy: Proxy) -> None:
    def ready() -> bool:
        assert proxy.process.poll() is None, proxy.log
        return proxy.ready()

    until(ready, "the proxy to be ready", lambda: proxy.log)
