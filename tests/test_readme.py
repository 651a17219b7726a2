"""The README's code blocks, run against the live server; its make lines, read by make."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from preprocess.rejection import Reason
from tests.conftest import ROOT
from tests.serving.live import Live

TEXT = (ROOT / "README.md").read_text("utf-8")
BLOCKS = re.findall(r"(?ms)^```(bash|python)\n(.*?)^```", TEXT)
SHELL = [code for language, code in BLOCKS if language == "bash"]


def _here(code: str, triton: Live) -> str:
    """The block for a server on other ports."""
    return code.replace(":8000", f":{triton.http}").replace(":8001", f":{triton.grpc}")


def _environment(triton: Live) -> dict[str, str]:
    return os.environ | {"MEDSERVE_URL": triton.grpc_url}


@pytest.mark.parametrize("code", [code for code in SHELL if "make " not in code])
def test_shell_blocks(triton: Live, code: str, tmp_path: Path) -> None:
    code = _here(code, triton).replace(".venv/bin", str(Path(sys.executable).parent))
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    result = subprocess.run(
        ["bash", "-euc", code], cwd=tmp_path, env=_environment(triton), capture_output=True, text=True
    )
    assert result.returncode == 0, result.stderr
    answers = list(tmp_path.glob("*.bin"))
    said = result.stdout + "".join(answer.read_bytes().decode("latin-1") for answer in answers)
    assert "probabilities" in said
    if "--heatmap" in code:
        assert (tmp_path / "overlay.png").stat().st_size > 10_000


@pytest.mark.parametrize("code", [code for language, code in BLOCKS if language == "python"])
def test_python_blocks(triton: Live, code: str) -> None:
    result = subprocess.run(
        [sys.executable, "-W", "error", "-c", _here(code, triton)], cwd=ROOT, capture_output=True, text=True
    )
    assert result.returncode == 0, result.stderr
    assert len(result.stdout.splitlines()) == 6


@pytest.mark.parametrize("line", [line for code in SHELL for line in code.splitlines() if line.startswith("make ")])
def test_make_lines_are_targets(line: str) -> None:
    words = line.split()
    assert subprocess.run(["make", "-n", *words[1:]], cwd=ROOT, capture_output=True).returncode == 0
    assert f"\n{words[1]}: " in (ROOT / "Makefile").read_text()


def test_every_reason_code_is_listed() -> None:
    section = TEXT.split("## What is refused")[1].split("\n## ")[0]
    listed = re.findall(r"`([a-z0-9_]+)`", section.split("request:")[1].split("Neither")[0])
    assert listed == [reason.value for reason in Reason]


def test_every_model_and_checkpoint_is_listed() -> None:
    from export.models import all_specs

    for spec in all_specs().values():
        assert f"| [`{spec.name}`](docs/models/{spec.name}.md) |" in TEXT
        assert f"| `{spec.name}` | `{spec.weights.filename}`" in TEXT
