"""The chart's front door: what it starts with, who reaches it, whom it calls."""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
from hashlib import sha256
from pathlib import Path

import httpx
import pytest

from benchmarks.ports import free_ports
from gateway.access import AccessSettings, is_open
from gateway.settings import Settings
from tests.support.chart import VALUES, kinds, pods, rendered
from tests.support.checkout import ROOT
from tests.support.gateway_process import gateway

NAME = "medserve-gateway"
AUDIT_KEY = "a secret of sixteen bytes"


def _pod(name: str) -> dict:
    (found,) = (pod for pod in pods(rendered(VALUES[name])) if pod["metadata"]["name"] == NAME)
    return found


def _container(name: str) -> dict:
    (container,) = _pod(name)["spec"]["containers"]
    return container


def _deployment(name: str) -> dict:
    return next(one["spec"] for one in kinds(rendered(VALUES[name]), "Deployment") if one["metadata"]["name"] == NAME)


def _environment(name: str) -> dict[str, str]:
    """The container's, with what its secrets would hold."""
    held = {"AUDIT_URL": "postgresql://medserve@database/audit", "AUDIT_KEY": AUDIT_KEY}
    return {one["name"]: one.get("value", held.get(one["name"], "")) for one in _container(name)["env"]}


def test_it_starts_with_what_the_chart_says_and_asks_who_calls(tmp_path: Path) -> None:
    """The rendered environment, its mounts moved to a folder; the server is away."""
    key = secrets.token_urlsafe(32)
    keys = tmp_path / "keys" / "keys.toml"
    keys.parent.mkdir()
    keys.write_text(f'[[key]]\nid = "ward"\nsha256 = "{sha256(key.encode()).hexdigest()}"\nmodels = ["*"]\n')
    keys.chmod(0o600)
    environment = _environment("gateway")
    assert environment["GATEWAY_KEYS_FILE"] == "/keys/keys.toml"
    assert environment["AUDIT_URL"] == "sqlite:////audit/audit.sqlite3"
    moved = {
        "GATEWAY_HOST": "0.0.0.0",
        "GATEWAY_KEYS_FILE": str(keys),
        "AUDIT_URL": f"sqlite:///{tmp_path}/audit.sqlite3",
    }
    (nobody,) = free_ports(1)
    rest = {name: value for name, value in environment.items() if name not in ("GATEWAY_SERVER", "HOME", *moved)}
    with gateway(f"grpc://127.0.0.1:{nobody}", tmp_path / "run", **rest, **moved) as door:
        probe = _container("gateway")["readinessProbe"]["httpGet"]
        assert httpx.get(f"{door.url}{probe['path']}").status_code == 200
        assert httpx.get(f"{door.url}/health").status_code == 401
        assert httpx.get(f"{door.url}/health", headers={"X-API-Key": key}).status_code == 503
    open_door = os.environ | rest | moved | {"GATEWAY_KEYS_FILE": "", "GATEWAY_PORT": str(free_ports(1)[0])}
    found = subprocess.run([sys.executable, "-m", "gateway"], cwd=ROOT, env=open_door, capture_output=True, text=True)
    assert found.returncode == 1
    assert "expected keys or OIDC" in found.stderr


def test_tokens_a_database_and_an_authority_of_ones_own() -> None:
    environment = _environment("gpu")
    authority = environment.pop("GATEWAY_SERVER_CA")
    settings, access = Settings.from_environment(environment), AccessSettings.from_environment(environment)
    assert settings.server == "grpcs://medserve:8001"
    assert settings.audit.startswith("postgresql://")
    assert settings.audit_key == AUDIT_KEY.encode()
    assert access.oidc_issuer == "https://login.hospital.example/realm"
    assert not is_open(access)
    mounts = {one["mountPath"]: one["name"] for one in _container("gpu")["volumeMounts"]}
    volumes = {one["name"]: one for one in _pod("gpu")["spec"]["volumes"]}
    assert volumes[mounts[str(Path(authority).parent)]]["secret"]["items"] == [{"key": "ca.crt", "path": "ca.crt"}]
    named = {one["name"]: one["valueFrom"]["secretKeyRef"] for one in _container("gpu")["env"] if "valueFrom" in one}
    assert named == {key: {"name": "medserve-audit", "key": key} for key in ("AUDIT_URL", "AUDIT_KEY")}


def test_two_never_write_one_file() -> None:
    one, several = _deployment("gateway"), _deployment("gpu")
    assert (one["replicas"], one["strategy"]) == (1, {"type": "Recreate"})
    assert (several["replicas"], several["strategy"]["type"]) == (2, "RollingUpdate")


@pytest.mark.parametrize("name", ["gateway", "gpu"])
def test_it_is_drained_before_it_is_killed(name: str) -> None:
    from gateway.__main__ import DRAIN_S

    (delay,) = _container(name)["lifecycle"]["preStop"]["exec"]["command"][1:]
    assert _pod(name)["spec"]["terminationGracePeriodSeconds"] >= int(delay) + DRAIN_S + 5


def test_who_reaches_it_and_whom_it_calls() -> None:
    policies = {one["metadata"]["name"]: one["spec"] for one in kinds(rendered(VALUES["gateway"]), "NetworkPolicy")}
    callers, prometheus = policies[NAME]["ingress"]
    assert callers["from"] != prometheus["from"]
    assert callers["ports"] == prometheus["ports"] == [{"port": 8080}]
    proxy, names, beyond = policies[NAME]["egress"]
    assert proxy["to"][0]["podSelector"]["matchLabels"]["app.kubernetes.io/component"] == "proxy"
    assert {one["port"] for one in names["ports"]} == {53}
    assert [one["port"] for one in beyond["ports"]] == [5432, 443]
    assert "to" not in beyond
    _, gateway_ = policies["medserve-proxy"]["ingress"]
    assert gateway_["from"] == [{"podSelector": {"matchLabels": policies[NAME]["podSelector"]["matchLabels"]}}]
    nobody = ["--set-json", "networkPolicy.callers=[]", "--set-json", "networkPolicy.prometheus=[]"]
    closed = {
        one["metadata"]["name"]: one["spec"] for one in kinds(rendered(VALUES["gateway"], *nobody), "NetworkPolicy")
    }
    assert "ingress" not in closed[NAME]
    assert "Ingress" in closed[NAME]["policyTypes"]


def test_prometheus_shows_a_key() -> None:
    monitors = {one["metadata"]["name"]: one["spec"] for one in kinds(rendered(VALUES["gpu"]), "ServiceMonitor")}
    (endpoint,) = monitors[NAME]["endpoints"]
    assert endpoint["authorization"]["credentials"] == {"name": "medserve-metrics-key", "key": "key"}
    services = kinds(rendered(VALUES["gpu"]), "Service")
    for spec, selected in ((monitors[NAME], {NAME}), (monitors["medserve"], None)):
        label = spec["selector"]["matchExpressions"][0]["key"]
        found = {one["metadata"]["name"] for one in services if label in one["metadata"]["labels"]}
        assert found == selected if selected else NAME not in found
