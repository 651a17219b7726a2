"""Exported model repositories for tests: made by the exporter, copied at no cost, changed file by file."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from filelock import FileLock

from tests.support.checkout import BUILD, ROOT

TRAINED = ("chest_xray", "pneumonia", "pneumonia_cnn", "solubility")  # those with sample checkpoints or shipped weights


@pytest.fixture(scope="session")
def repository(tmp_path_factory: pytest.TempPathFactory, checkpoints: Path | None) -> Path:
    """Real networks, exported and tuned as `make export` does it; trained where the sample checkpoints are.

    For what judges accuracy, real sizes or time; everything else takes `tiny_repository`. Kept below build/ from one
    run to the next: the exporter knows what is stale, and compares each artifact with its manifest.
    """
    kept = BUILD / "model_repository"
    BUILD.mkdir(parents=True, exist_ok=True)
    with FileLock(BUILD / "lock"):  # another worker may want the same
        run_export(kept, models=",".join(TRAINED), checkpoints=checkpoints)
        return copy_repository(kept, tmp_path_factory.mktemp("exported") / "model_repository")


@pytest.fixture(scope="session")
def tiny_repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All nine models as tiny networks (`tests.support.specs`), exported in this process.

    Kept below build/ under a digest of what makes them; workers of one run wait for the first of them to make it.
    """
    from export.publish import Order, publish
    from export.repository import write
    from tests.support.specs import tiny_specs

    kept = BUILD / f"tiny-{_tiny_digest()}"
    BUILD.mkdir(parents=True, exist_ok=True)
    with FileLock(BUILD / "tiny.lock"):
        if not kept.is_dir():
            made = Path(tempfile.mkdtemp(prefix="making-", dir=BUILD))
            write(list(tiny_specs().values()), made)
            for spec in tiny_specs().values():
                publish(spec, made, Order())
            for old in BUILD.glob("tiny-*"):
                shutil.rmtree(old)
            made.chmod(0o755)
            made.rename(kept)
        return copy_repository(kept, tmp_path_factory.mktemp("tiny") / "model_repository")


def _tiny_digest() -> str:
    """Of the exporter, the tiny networks and the tools' versions."""
    from export.card import tool_versions

    folders = (ROOT / name for name in ("export", "report", "preprocess", "model_repository"))
    sources = [file for folder in folders for file in sorted(folder.rglob("*")) if file.suffix in (".py", ".pbtxt")]
    digest = hashlib.sha256(json.dumps(tool_versions(), sort_keys=True).encode())
    for source in (ROOT / "tests" / "support" / "specs.py", *sources):
        digest.update(source.read_bytes())
    return digest.hexdigest()[:16]


def run_export(folder: Path, *, models: str = "", checkpoints: Path | str | None = None) -> subprocess.CompletedProcess:
    """`python -m export models` into a folder, as a user runs it."""
    command = [sys.executable, "-m", "export", "models", "--repository", str(folder), "--models", models]
    command += ["--checkpoints", str(checkpoints or "")]
    return subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)


def copy_repository(source: Path, target: Path) -> Path:
    """A copy whose artifacts are hard links where the file system allows, so that it costs nothing."""
    shutil.copytree(source, target, copy_function=_linked, ignore=shutil.ignore_patterns(".lock"))
    return target


@dataclass(frozen=True)
class Gated:
    """A repository one of whose preprocessing steps waits while the gate is closed, however fast the machine is."""

    folder: Path
    gate: Path

    @contextmanager
    def closed(self) -> Iterator[None]:
        """For the block, requests reach the step's worker and stay there."""
        self.gate.touch()
        try:
            yield
        finally:
            self.gate.unlink()


def gated(source: Path, target: Path, step: str = "preprocess_xray") -> Gated:
    """A copy of a repository with a gate in front of a step's function."""
    folder, gate = copy_repository(source, target), target.with_name(f"{target.name}-{step}-closed")
    adapter = folder / step / "1" / "model.py"
    text = adapter.read_text("utf-8")
    (function,) = re.findall(r"^from preprocess\.\w+ import (\w+)$(?<!Rejected)", text, re.M)
    waiting = f"""
import pathlib, time
_function, _gate = {function}, pathlib.Path({str(gate)!r})
def {function}(*items, **options):
    while _gate.exists():
        time.sleep(0.01)
    return _function(*items, **options)


class TritonPythonModel"""
    replace_file(adapter, text.replace("\nclass TritonPythonModel", waiting))
    return Gated(folder, gate)


def _linked(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:  # another file system
        shutil.copy2(source, target)


def replace_file(file: Path, content: str | bytes) -> None:
    """Write a new file under this name; the linked original keeps its content."""
    file.unlink(missing_ok=True)
    file.write_bytes(content.encode() if isinstance(content, str) else content)
