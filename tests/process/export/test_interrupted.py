"""An export that is interrupted: what is published stays, nothing half-made does, and the next run does the rest."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.checkout import ROOT

MODELS = "solubility,pneumonia_cnn,pneumonia"


def _exporter(folder: Path, processes: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "export", "models", "--repository", str(folder), "--models", MODELS]
    command += ["--precisions", "fp32", "--processes", str(processes), "--events"]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)


@pytest.mark.slow  # exports networks of real size, twice
@pytest.mark.parametrize("processes", [1, 2])
def test_an_interrupted_export_goes_on_where_it_was(tmp_path: Path, processes: int) -> None:
    with _exporter(tmp_path, processes) as exporter:
        assert exporter.stdout is not None
        planned = json.loads(exporter.stdout.readline())["models"]
        assert planned[0] == "solubility"
        first = json.loads(exporter.stdout.readline())
        exporter.terminate()
        rest = [json.loads(line)["model"] for line in exporter.stdout]
    assert first["type"] == "published"
    done = {first["model"], *rest}
    assert {file.parts[-3].removesuffix("_net") for file in tmp_path.glob("*/1/card.json")} == done
    assert not list(tmp_path.rglob(".export-*"))
    with _exporter(tmp_path, processes) as exporter:
        assert exporter.stdout is not None
        assert set(json.loads(exporter.stdout.readline())["models"]) == set(planned) - done
        exporter.terminate()
