"""What images are made of: linted, pinned, without secrets; compose's file as compose reads it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.support.checkout import ROOT

DOCKER = ROOT / "docker"
DOCKERFILES = sorted(DOCKER.glob("*.Dockerfile"))
HADOLINT = [str(Path(sys.executable).with_name("hadolint")), "--no-color", "--failure-threshold", "warning"]
# `secret: name` refers to one: that is how a chart does it.
SECRET = re.compile(
    r"(?i)(password|passwd|token|api_?key|private_?key)\s*[:=]\s*['\"]?[A-Za-z0-9+/]{6,}|PRIVATE KEY-|AKIA[A-Z0-9]{16}"
)


@pytest.mark.parametrize("file", DOCKERFILES, ids=lambda file: file.stem)
def test_hadolint_finds_nothing(file: Path) -> None:
    done = subprocess.run([*HADOLINT, str(file)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_hadolint_would_find_something(tmp_path: Path) -> None:
    bad = tmp_path / "Dockerfile"
    bad.write_text("FROM debian:latest\nRUN cd /tmp && apt-get install curl\n")
    assert subprocess.run([*HADOLINT, str(bad)], capture_output=True).returncode != 0


@pytest.mark.parametrize("file", DOCKERFILES, ids=lambda file: file.stem)
def test_nobody_is_root_and_every_version_is_one(file: Path) -> None:
    lines = file.read_text("utf-8").splitlines()
    (last, *_) = [line for line in reversed(lines) if line.startswith("USER ")]
    assert last == "USER 1000:1000"
    assert all(line.startswith("FROM ${") for line in lines if line.startswith("FROM "))
    installs = [line for line in lines if "pip install" in line]
    assert installs
    assert all("--constraint" in line for line in installs)


def test_plans_are_built_with_the_tensorrt_that_serves() -> None:
    text = (DOCKER / "gpu.Dockerfile").read_text("utf-8")
    assert '"tensorrt-cu13-bindings==$(python3 -m server.nvinfer).*"' in text
    assert "torch" not in text


def _composed(*profiles: str) -> dict:
    command = [sys.executable, "-m", "podman_compose", "--env-file", "docker/versions.env", "-f", "docker/compose.yaml"]
    command += [word for profile in profiles for word in ("--profile", profile)]
    done = subprocess.run([*command, "config"], cwd=ROOT, capture_output=True, text=True, check=True, env=os.environ)
    return yaml.safe_load(done.stdout)["services"]


@pytest.mark.parametrize("profile", ["cpu", "gpu", "monitoring"])
def test_what_compose_starts_is_confined_and_this_machines_alone(profile: str) -> None:
    services = {name: one for name, one in _composed(profile).items() if one.get("profiles") == [profile]}
    assert services
    for name, service in services.items():
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert int(str(service["user"]).split(":")[0]) > 0, name
        assert all(str(port).startswith("127.0.0.1:") for port in service["ports"]), name
        assert ":latest" not in service["image"], name


def test_nothing_below_docker_holds_a_secret() -> None:
    found = [
        f"{path.relative_to(ROOT)}: {match.group(0)}"
        for path in sorted(DOCKER.rglob("*"))
        if path.is_file() and path.suffix not in (".json", ".pyc")
        for match in SECRET.finditer(path.read_text("utf-8"))
    ]
    assert found == []
