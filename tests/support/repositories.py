"""Exported model repositories for tests: made by the exporter, copied at no cost, changed file by file."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache
from hashlib import sha256
from pathlib import Path

import pytest
from filelock import FileLock

from export.spec import ModelSpec
from tests.support.checkout import BUILD, ROOT

# What decides a tiny model's files and card, next to the recipe that is in the card.
_TINY_SOURCES = (
    *("tests/support/repositories.py", "tests/support/specs.py", "tests/support/tiny_nets.py"),
    *("export/artefact.py", "export/card.py", "export/publish.py", "export/samples.py", "export/suspects.py"),
    *("report/card.py", "report/comparison.py", "report/declaration.py", "report/reference.py", "report/rules.py"),
)


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The repository of one model with a tiny network; published at first use. Not to be changed: copy it."""

    @cache
    def repository_of(model: str) -> Path:
        return _tiny_repository([model], tmp_path_factory.mktemp(f"tiny_{model}") / "model_repository")

    return repository_of


@pytest.fixture(scope="session")
def tiny_repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every model, with tiny networks behind the real declarations: see `tests.support.specs`.

    `export.publish.stale` finds nothing to export again in it. Not to be changed: copy it.
    """
    from export.models import all_specs

    return _tiny_repository(all_specs(), tmp_path_factory.mktemp("tiny") / "model_repository")


def _tiny_repository(models: Iterable[str], folder: Path) -> Path:
    from export.models import select
    from export.repository import write, write_choice
    from report.card import FILENAME, Card

    specs = select(list(models))
    for spec in specs if os.environ.get("PYTEST_XDIST_WORKER") != "gw1" else reversed(specs):
        _published(spec)  # two workers that begin at either end share the work instead of waiting for each other
    for spec in specs:
        copy_repository(_published(spec) / spec.net, folder / spec.net)
    write(specs, folder)
    for spec in specs:
        write_choice(spec, folder, Card.read(folder / spec.net / "1" / FILENAME).choice)
    return folder


def _published(real: ModelSpec) -> Path:
    """The kept repository of one tiny model, below build/: shared by workers, and kept from one run to the next."""
    from export.card import declaration, tool_versions
    from export.digest import recipe_digest, sha256_of
    from report.card import FILENAME
    from server.machine import cpu_features
    from tests.support.specs import tiny_specs

    tools = [f"{name} {version}" for name, version in tool_versions().items()]
    parts = [recipe_digest(real.name, tools=tools), repr(declaration(real)), *cpu_features()]
    parts += [sha256_of(ROOT / source) for source in _TINY_SOURCES]
    kept = BUILD / "tiny" / f"{real.name}-{sha256(' '.join(parts).encode()).hexdigest()[:16]}"
    kept.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(kept.with_name(f".{real.name}.lock")):
        if not (kept / real.net / "1" / FILENAME).is_file():
            for old in kept.parent.glob(f"{real.name}-*"):
                shutil.rmtree(old)
            _publish(tiny_specs()[real.name], kept)
    return kept


def _publish(spec: ModelSpec, folder: Path) -> None:
    """Export it, and choose OpenVINO where it runs: without a measurement, so on every machine of a kind alike."""
    from export.artefact import ARTEFACT, folder_of
    from export.engines import here
    from export.publish import Order, publish
    from report.card import Choice
    from server.machine import cpu_features
    from tests.support.traces import keeping_traces

    with keeping_traces():
        card = publish(spec, folder, Order())
    passed = {found.engine: found for found in card.artefacts[ARTEFACT].comparisons if not found.refused}
    best = passed[next(engine for engine in reversed(here()) if engine in passed)]
    choice = Choice(artefact=ARTEFACT, engine=best.engine, precision=best.precision, cpu=cpu_features(), speeds={})
    replace(card, choice=choice).write(folder_of(spec, folder))


TRAINED = ("chest_xray", "pneumonia", "pneumonia_cnn", "solubility")  # those with sample checkpoints or shipped weights


@pytest.fixture(scope="session")
def repository(real_repository: Path) -> Path:
    """`real_repository`, unless a module that judges no accuracy overrides it."""
    return real_repository


@pytest.fixture(scope="session")
def real_repository(tmp_path_factory: pytest.TempPathFactory, checkpoints: Path | None) -> Path:
    """Real networks, exported and tuned as `make export` does it; trained where the sample checkpoints are.

    For what judges accuracy, real sizes or time; everything else takes `tiny_repository`. Kept below build/ from one
    run to the next: the exporter knows what is stale, and compares each artifact with its manifest.
    """
    kept = BUILD / "model_repository"
    BUILD.mkdir(parents=True, exist_ok=True)
    with FileLock(BUILD / "lock"):  # another worker may want the same
        run_export(kept, models=",".join(TRAINED), checkpoints=checkpoints)
        return copy_repository(kept, tmp_path_factory.mktemp("exported") / "model_repository")


def run_export(
    folder: Path, *options: str, models: str = "", checkpoints: Path | str | None = None
) -> subprocess.CompletedProcess:
    """`python -m export models` into a folder, as a user runs it."""
    command = [sys.executable, "-m", "export", "models", "--repository", str(folder), "--models", models]
    command += ["--checkpoints", str(checkpoints or ""), *options]
    return subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)


def copy_repository(source: Path, target: Path) -> Path:
    """A copy whose artifacts are hard links where the file system allows, so that it costs nothing."""
    shutil.copytree(source, target, copy_function=_linked, ignore=shutil.ignore_patterns(".lock"))
    return target


@pytest.fixture(scope="session")
def mixed_repository(real_repository: Path, tiny_repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All nine models: real networks where `real_repository` has them, tiny ones elsewhere."""
    folder = copy_repository(tiny_repository, tmp_path_factory.mktemp("mixed") / "model_repository")
    for name in TRAINED:
        shutil.rmtree(folder / f"{name}_net")
        copy_repository(real_repository / f"{name}_net", folder / f"{name}_net")
    return folder


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
