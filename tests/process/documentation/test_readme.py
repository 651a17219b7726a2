"""The documents' code blocks, run against the live server; the README's make lines, read by make."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from preprocess.rejection import Reason
from tests.support.checkout import ROOT
from tests.support.live import Live

TEXT = (ROOT / "README.md").read_text("utf-8")
GUIDES = [ROOT / "README.md", ROOT / "docs" / "client.md", *sorted((ROOT / "docs" / "moving").glob("*.md"))]


def _blocks(language: str) -> list[Any]:
    """Each block of a language, named after its document and its place there."""
    found = re.compile(rf"(?ms)^```{language}\n(.*?)^```")
    return [
        pytest.param(code, id=f"{guide.relative_to(ROOT)}:{place}")
        for guide in GUIDES
        for place, code in enumerate(found.findall(guide.read_text("utf-8")), 1)
    ]


SHELL = [block.values[0] for block in _blocks("bash")]


def _here(code: str, triton: Live) -> str:
    """The block for a server on other ports."""
    return code.replace(":8000", f":{triton.http}").replace(":8001", f":{triton.grpc}")


def _environment(triton: Live) -> dict[str, str]:
    return os.environ | {"MEDSERVE_URL": triton.grpc_url}


@pytest.mark.parametrize("code", [block for block in _blocks("bash") if "make " not in block.values[0]])
def test_shell_blocks(triton: Live, code: str, tmp_path: Path) -> None:
    code = _here(code, triton).replace(".venv/bin", str(Path(sys.executable).parent))
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    result = subprocess.run(
        ["bash", "-euc", code], cwd=tmp_path, env=_environment(triton), capture_output=True, text=True
    )
    assert result.returncode == 0, result.stderr
    answers = list(tmp_path.glob("*.bin"))
    said = result.stdout + "".join(answer.read_bytes().decode("latin-1") for answer in answers)
    assert "prediction" in said or "probabilities" in said
    if "--heatmap" in code:
        (written,) = (tmp_path / "overlays").glob("*.png")
        assert written.stat().st_size > 10_000


@pytest.mark.parametrize("code", _blocks("python"))
def test_python_blocks(triton: Live, code: str) -> None:
    code = _here(code, triton).replace("Client()", f'Client("{triton.grpc_url}")')
    code = code.replace("Client(preprocess", f'Client("{triton.grpc_url}", preprocess')
    result = subprocess.run([sys.executable, "-W", "error", "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert result.stdout.strip()


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
