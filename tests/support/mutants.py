"""python -m tests.support.mutants: does a test fail when the code is wrong?

Faults are put into a copy of the checkout, one at a time, at places drawn by a seed: cosmic-ray's mutants. Each must be
killed: by the unit tests of its area, or else by the process tests that `make test` runs for it.

Usage: make mutants SEED=1 COUNT=30
"""

from __future__ import annotations

import argparse
import ast
import os
import random
import shlex
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from functools import cache
from itertools import islice
from pathlib import Path

from cosmic_ray import plugins
from cosmic_ray.commands.init import init
from cosmic_ray.mutating import mutate_and_test, mutate_code
from cosmic_ray.work_db import WorkDB
from cosmic_ray.work_item import MutationSpec, TestOutcome

from tests.support.checkout import ROOT

HANG_S = 900  # a mutant that makes the tests hang is killed too


@dataclass(frozen=True)
class Area:
    """Code whose faults matter most, and what must find them.

    Args:
        sources: files or folders.
        unit: tests that are run first.
        process: tests that are run where those pass.
    """

    sources: tuple[str, ...]
    unit: tuple[str, ...]
    process: tuple[str, ...]


AREAS = {
    "preprocess": Area(
        ("preprocess",),
        ("tests/unit/preprocess", "tests/unit/client"),
        ("tests/process/serving/test_awkward.py", "tests/process/serving/test_dicom.py", "tests/process/client"),
    ),
    "report": Area(
        ("report",),
        ("tests/unit/report", "tests/unit/export/test_gate.py", "tests/unit/server"),
        ("tests/process/serving/test_contract.py", "tests/unit/report/test_description.py", "tests/unit/export"),
    ),
    "gate": Area(
        ("export/verdict.py", "export/parity.py", "export/figures.py", "export/variants.py"),
        ("tests/unit/export",),
        ("tests/process/export",),
    ),
    "queue": Area(
        ("queueing/queue.py", "queueing/worker.py", "queueing/step.py"),
        ("tests/unit/queueing",),
        ("tests/process/serving/test_workers.py", "tests/process/serving/test_backend.py"),
    ),
    "audit": Area(("gateway/audit",), ("tests/unit/gateway/audit",), ("tests/process/gateway/audit",)),
}


def main() -> int:
    """Returns the exit status: 1 where a mutant survived."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--count", type=int, default=30, help="of mutants, the same number in each area")
    parser.add_argument("--areas", default=",".join(AREAS))
    options = parser.parse_args()
    areas = options.areas.split(",")
    survived = 0
    with tempfile.TemporaryDirectory(prefix="medserve-mutants-") as folder:
        os.chdir(_copy(Path(folder)))
        for name in areas:
            area, draw = AREAS[name], random.Random(f"{options.seed} {name}")
            for mutation in _drawn(area, draw, options.count // len(areas)):
                survived += not _killed(name, area, mutation)
    print(f"{survived} survived")
    return int(survived > 0)


def _copy(folder: Path) -> Path:
    """What git lists of the checkout, with the same environment and exported networks."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    for name in filter(None, listed.stdout.split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
    (folder / ".venv").symlink_to(ROOT / ".venv")
    os.environ["PYTHONPATH"] = os.pathsep.join((str(folder), str(folder / "client" / "src")))
    os.environ.setdefault("MEDSERVE_SAMPLES", str(ROOT.parent / "shared"))
    return folder


def _command(tests: tuple[str, ...]) -> str:
    workers = ["--numprocesses=auto", "--dist=loadgroup"]
    return shlex.join([sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *workers, *tests])


@cache  # once for each area and tier, and for a tier that is needed alone
def _check_passes(tests: tuple[str, ...]) -> None:
    """Raises SystemExit: tests that fail by themselves would kill every mutant."""
    done = subprocess.run(shlex.split(_command(tests)), capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{' '.join(tests)}: expected to pass without a mutant, got:\n{done.stdout[-2000:]}")


def _drawn(area: Area, draw: random.Random, count: int) -> list[MutationSpec]:
    files = [
        file for source in map(Path, area.sources) for file in ([source] if source.is_file() else source.rglob("*.py"))
    ]
    work = WorkDB(":memory:", WorkDB.Mode.create)
    init(sorted(files), work, {})
    found = [mutation for item in work.work_items for mutation in item.mutations]
    found.sort(key=lambda one: (str(one.module_path), one.start_pos, one.operator_name, one.occurrence))
    draw.shuffle(found)
    return list(islice(filter(_changes_what_runs, found), count))


def _changes_what_runs(mutation: MutationSpec) -> bool:
    """Valid code, and changed in more than an annotation: Python does not evaluate those."""
    code = mutation.module_path.read_text("utf-8")
    operator = plugins.get_operator(mutation.operator_name)(**mutation.operator_args)
    mutated = mutate_code(code, operator, mutation.occurrence)
    try:
        return mutated is not None and _without_annotations(code) != _without_annotations(mutated)
    except SyntaxError:
        return False


def _without_annotations(code: str) -> str:
    tree = ast.parse(code)
    for node in ast.walk(tree):
        if isinstance(node, ast.arg | ast.AnnAssign):
            node.annotation = ast.Constant(None)
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            node.returns = None
    return ast.dump(tree)


def _killed(name: str, area: Area, mutation: MutationSpec) -> bool:
    place = f"{mutation.module_path}:{mutation.start_pos[0]} {mutation.operator_name.removeprefix('core/')}"
    for tier, tests in (("unit", area.unit), ("process", area.process)):
        _check_passes(tests)
        result = mutate_and_test([mutation], _command(tests), HANG_S)
        if result.test_outcome != TestOutcome.SURVIVED:
            print(f"{name:10} killed by {tier:8} {place}", flush=True)
            return True
    print(f"{name:10} SURVIVED           {place}\n{result.diff}", flush=True)
    return False


if __name__ == "__main__":
    sys.exit(main())
