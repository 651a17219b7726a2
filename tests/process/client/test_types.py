"""The client's types from its user's side: a program that uses all of it, and one that uses it wrongly."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.checkout import BUILD, ROOT

PROGRAM = ROOT / "tests" / "support" / "sample_program.py"
WRONG = {
    "Client(timeout='5')": "timeout",
    "Client().predict('m', image=3)": "image",
    "Client().predict('m', image=[b'x'])": "image",
    "Client().predict('m', image=b'x').labels": "labels",
    "Client().health().alive": "alive",
}


def _mypy(folder: Path) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--config-file", "", "--cache-dir", str(BUILD / "mypy"), "."],
        cwd=folder, capture_output=True, text=True,
    )  # fmt: skip
    return done.stdout


def _pyright(folder: Path) -> str:
    config = {"typeCheckingMode": "strict", "include": ["*.py"], "reportMissingTypeStubs": False}
    (folder / "pyrightconfig.json").write_text(json.dumps(config))
    done = subprocess.run(
        [sys.executable, "-m", "basedpyright", "--pythonpath", sys.executable, "-p", str(folder)],
        capture_output=True, text=True,
    )  # fmt: skip
    return done.stdout


@pytest.mark.parametrize("checker", [_mypy, _pyright])
def test_a_program_that_uses_all_of_it_is_clean_and_a_wrong_one_is_not(checker, tmp_path: Path) -> None:
    """Both at once: most of a checker's time is for the libraries that they import."""
    (tmp_path / PROGRAM.name).write_text(PROGRAM.read_text("utf-8"))
    (tmp_path / "wrong.py").write_text("from medserve import Client\n" + "".join(f"print({line})\n" for line in WRONG))
    told = [line for line in checker(tmp_path).splitlines() if ".py:" in line]
    assert not [line for line in told if PROGRAM.name in line]
    for place, name in enumerate(WRONG.values(), 2):
        assert any(f"wrong.py:{place}:" in line and name in line for line in told), (name, told)
