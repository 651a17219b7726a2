"""docs/gateway.md: its calls answer, its files can be meant, its commands and variables are there."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

from gateway.versions import read_routes
from tests.support.checkout import ROOT
from tests.support.gateway_process import Running

TEXT = (ROOT / "docs" / "gateway.md").read_text("utf-8")
BIN = Path(sys.executable).parent


def _blocks(language: str) -> list[str]:
    return re.findall(rf"(?ms)^```{language}\n(.*?)^```", TEXT)


def test_its_calls_answer(shared_gateway: Running) -> None:
    (block,) = (block for block in _blocks("bash") if "curl" in block)
    for line in block.strip().splitlines():
        said = subprocess.run(
            ["bash", "-euc", line.replace("http://127.0.0.1:8080", shared_gateway.url)],
            cwd=ROOT,
            capture_output=True,
            text=True,
        )
        assert json.loads(said.stdout)["prediction_id"], line


def test_its_routes_and_its_keys_can_be_meant(tmp_path: Path) -> None:
    routes, keys = tmp_path / "routes.toml", tmp_path / "keys.toml"
    (told_keys,) = (block for block in _blocks("toml") if "[[key]]" in block)
    (told_routes,) = (block for block in _blocks("toml") if "[[route]]" in block)
    routes.write_text(told_routes, "utf-8")
    assert [(route.name, route.shadow) for route in read_routes(routes)] == [("canary", False), ("next", True)]
    keys.write_text(told_keys.replace("…", "0" * 64), "utf-8")
    keys.chmod(0o600)
    said = subprocess.run([BIN / "medserve", "keys", "check", keys], capture_output=True, text=True)
    assert said.returncode == 0, said.stderr


def test_its_commands_are_there(shared_gateway: Running, tmp_path: Path) -> None:
    commands = [
        line.split("#")[0].split()
        for block in _blocks("bash")
        for line in block.splitlines()
        if line.startswith("medserve")
    ]
    assert len(commands) == 4
    environment = os.environ | {"AUDIT_URL": f"sqlite:///{shared_gateway.folder}/audit.sqlite3"}
    for command in commands:
        given = [one.replace("http://127.0.0.1:8080", shared_gateway.url) for one in command]
        if "--expect-head" in given:  # the example's own head
            given = given[: given.index("--expect-head")]
        said = subprocess.run(
            [BIN / given[0], *given[1:]], cwd=tmp_path, env=environment, capture_output=True, text=True
        )
        drift = command[1:3] == ["drift", "report"]  # it ends with 1 where there is drift, as other tests may have made
        assert said.returncode in ((0, 1) if drift else (0,)), (command, said.stdout, said.stderr)


def test_each_variable_is_read_somewhere() -> None:
    named = set(re.findall(r"`((?:GATEWAY|AUDIT)_[A-Z_]+)`", TEXT))
    source = "".join(path.read_text("utf-8") for path in (ROOT / "gateway").rglob("*.py"))
    read = set(re.findall(r'"((?:GATEWAY|AUDIT)_[A-Z_]+)"', source))
    assert len(named) > 15
    assert named - read <= {f"GATEWAY_OIDC_{name}" for name in ("ISSUER", "AUDIENCE", "JWKS")}  # made of their parts
    assert not {name for name in read if name not in TEXT}
