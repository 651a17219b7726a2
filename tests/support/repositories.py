"""Exported model repositories for tests: made by the exporter, copied at no cost, changed file by file."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from filelock import FileLock

from tests.support.checkout import BUILD, ROOT


@pytest.fixture(scope="session")
def repository(tmp_path_factory: pytest.TempPathFactory, checkpoints: Path | None) -> Path:
    """Every model, exported; trained where the sample checkpoints are.

    Kept below build/ from one run to the next: the exporter knows what is stale, and compares each artifact with its
    card. Tracing a graph takes one core for most of a model's time, so two processes export half of them each.
    """
    from export.publish import Order, publish, stale
    from tests.support.specs import LARGE, affordable_specs

    kept, other = BUILD / "model_repository", BUILD / "other"
    BUILD.mkdir(parents=True, exist_ok=True)
    light = [spec for spec in affordable_specs().values() if spec.name != LARGE]
    with FileLock(BUILD / "lock"):  # another run may want the same
        with ThreadPoolExecutor() as pool:
            for made in [
                pool.submit(run_export, to, models=",".join(spec.name for spec in half), checkpoints=checkpoints)
                for to, half in ((kept, light[::2]), (other, light[1::2]))
            ]:
                made.result()
        if stale(affordable_specs()[LARGE], kept, Order()):
            publish(affordable_specs()[LARGE], kept, Order())
        folder = copy_repository(kept, tmp_path_factory.mktemp("exported") / "model_repository")
        for spec in light[1::2]:
            shutil.copytree(other / spec.net, folder / spec.net, dirs_exist_ok=True)
    return folder


def run_export(folder: Path, *, models: str = "", checkpoints: Path | str | None = None) -> subprocess.CompletedProcess:
    """`python -m export models` into a folder, as a user runs it."""
    command = [sys.executable, "-m", "export", "models", "--repository", str(folder), "--models", models]
    command += ["--checkpoints", str(checkpoints or "")]
    return subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)


def copy_repository(source: Path, target: Path) -> Path:
    """A copy whose artifacts are hard links where the file system allows, so that it costs nothing."""
    shutil.copytree(source, target, copy_function=_linked, ignore=shutil.ignore_patterns(".lock"))
    return target


def _linked(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:  # another file system
        shutil.copy2(source, target)


def replace_file(file: Path, content: str | bytes) -> None:
    """Write a new file under this name; the linked original keeps its content."""
    file.unlink(missing_ok=True)
    file.write_bytes(content.encode() if isinstance(content, str) else content)
