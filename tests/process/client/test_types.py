"""The client's types from its user's side: a program that uses all of it, and one that uses it wrongly."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = Path(__file__).with_name("sample_program.py")
WRONG = {
    "Client(timeout='5')": "timeout",
    "Client().predict('m', image=3)": "image",
    "Client().predict('m', image=[b'x'])": "image",
    "Client().predict('m', image=b'x').labels": "labels",
    "Client().health().alive": "alive",
}


def _mypy(file: Path) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--config-file", "", "--cache-dir", f"{file.parent}/cache", file],
        cwd=file.parent, capture_output=True, text=True,
    )  # fmt: skip
    return "" if done.returncode == 0 else done.stdout


def _pyright(file: Path) -> str:
    config = {"typeCheckingMode": "strict", "include": [file.name], "reportMissingTypeStubs": False}
    (file.parent / "pyrightconfig.json").write_text(json.dumps(config))
    done = subprocess.run(
        [sys.executable, "-m", "basedpyright", "--pythonpath", sys.executable, "-p", str(file.parent)],
        capture_output=True, text=True,
    )  # fmt: skip
    return "" if done.returncode == 0 else done.stdout


@pytest.mark.parametrize("checker", [_mypy, _pyright])
def test_a_program_that_uses_all_of_it_is_clean(checker, tmp_path: Path) -> None:
    file = tmp_path / PROGRAM.name
    file.write_text(PROGRAM.read_text("utf-8"))
    assert checker(file) == ""


@pytest.mark.parametrize("checker", [_mypy, _pyright])
def test_a_wrong_one_is_not(checker, tmp_path: Path) -> None:
    file = tmp_path / "wrong.py"
    file.write_text("from medserve import Client\n" + "".join(f"print({line})\n" for line in WRONG))
    told = checker(file)
    for place, name in enumerate(WRONG.values(), 2):
        assert any(f":{place}:" in line and name in line for line in told.splitlines()), (name, told)
