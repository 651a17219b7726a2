"""What the benchmarks wrote, read again: one JSON file of each kind."""

from __future__ import annotations

import contextlib
import re
from pathlib import Path
from typing import Any, cast

import msgspec

from benchmarks.figures import FiguresError, decoded, write
from benchmarks.gpu.report import GpuProof
from benchmarks.limit.report import Limit
from benchmarks.load.verdict import Load
from benchmarks.peers.report import Peers
from benchmarks.strain.overload import Overloads
from benchmarks.strain.soak import Soaks

FOLDER = Path(__file__).resolve().parent.parent / "results"
# For pictures, not for tables, and most of a file.
_LEFT_OUT: dict[str, Any] = {"timeline": [], "buckets": [], "batches": {}}


Results = Load | Limit | Peers | Overloads | Soaks | GpuProof


def files(folder: Path = FOLDER) -> list[Path]:
    """Return the kept files: one of each kind, and of GPUs one for each product, below gpu/."""
    return [*sorted(folder.glob("*.json")), *sorted((folder / "gpu").glob("*.json"))]


def read(file: Path) -> Results:
    """Raises FiguresError: not a benchmark's, or an older one's."""
    try:
        return cast(Results, decoded(file.read_bytes(), Results, file))
    except OSError as exc:
        raise FiguresError(f"{file}: expected a benchmark's figures: {exc}") from exc


def kept(file: Path, folder: Path = FOLDER) -> Path:
    """Keep the tables' figures of a file for the page, in the place of earlier ones of the same; of `make load` and
    `make bench`, which take long, those of other promises and models stay if they are of the same machine and code.

    Raises:
        FiguresError: not a benchmark's; or a GPU proof's that no GPU ran.
    """
    if isinstance(proof := read(file), GpuProof):
        if not proof.facts.gpu:
            raise FiguresError(
                f"{file}: expected figures of a GPU, got those of a CPU in its place. They are not kept."
            )
        return write(proof, folder / "gpu", re.sub(r"[^a-z0-9]+", "-", proof.facts.gpu.lower()).strip("-"))
    small = _without(msgspec.to_builtins(read(file)))
    target = folder / f"{small['kind']}.json"
    found: Results = msgspec.convert(small, Results)
    with contextlib.suppress(FiguresError):  # there is none, or an older benchmark's
        found = _joined(read(target), found)
    return write(found, folder, small["kind"])


def _joined(earlier: Results, later: Results) -> Results:
    if not earlier.setting.like(later.setting):
        return later
    if isinstance(earlier, Limit) and isinstance(later, Limit):
        return Limit(setting=later.setting, models=earlier.models | later.models)
    if isinstance(earlier, Load) and isinstance(later, Load):
        by_name = {one.slo.name: one for one in (*earlier.results, *later.results)}
        return Load(setting=later.setting, results=list(by_name.values()))
    return later


def _without(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _LEFT_OUT[key] if key in _LEFT_OUT else _without(one) for key, one in value.items()}
    return [_without(one) for one in value] if isinstance(value, list | tuple) else value
