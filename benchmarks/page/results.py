"""What the benchmarks wrote, read again: one JSON file of each kind."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from benchmarks.limit.report import Turn as LimitTurn
from benchmarks.load.verdict import Judged
from benchmarks.peers.report import Turn as PeerTurn
from benchmarks.strain.overload import Overload
from benchmarks.strain.soak import Soak

FOLDER = Path(__file__).resolve().parent.parent / "results"
# For pictures, not for tables, and most of a file.
_LEFT_OUT: dict[str, Any] = {"timeline": [], "buckets": [], "batches": {}}


class ResultsError(ValueError):
    """A file that no benchmark wrote."""


class Load(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="load"):
    """`make load`: a promise each."""

    machine: str
    results: list[Judged]


class Limit(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="limit"):
    """`make bench`: turns by model."""

    machine: str
    models: dict[str, list[LimitTurn]]


class Peers(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="peers"):
    """`make peers`."""

    machine: str
    turns: list[PeerTurn]


class Overloads(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="overload"):
    """`make overload`."""

    machine: str
    model: str
    overload: list[Overload]


class Soaks(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="soak"):
    """`make soak`."""

    machine: str
    model: str
    soak: list[Soak]


Results = Load | Limit | Peers | Overloads | Soaks


def read(file: Path) -> Results:
    """Raises ResultsError: not of a benchmark's, or of an older one's."""
    try:
        found: Results = msgspec.json.decode(file.read_bytes(), type=Results)
    except (msgspec.DecodeError, OSError) as exc:
        raise ResultsError(f"{file}: expected a benchmark's figures: {exc}") from exc
    return found


def write(found: Results, folder: Path, name: str) -> Path:
    """Whole, for people and pictures; returns the file."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{name}.json"
    file.write_bytes(msgspec.json.encode(found))
    return file


def kept(file: Path, folder: Path = FOLDER) -> Path:
    """Keep the tables' figures of a file for the page, in the place of earlier ones of their kind."""
    found = read(file)
    small = _without(msgspec.to_builtins(found))
    return write(msgspec.convert(small, Results), folder, small["kind"])


def _without(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _LEFT_OUT[key] if key in _LEFT_OUT else _without(one) for key, one in value.items()}
    return [_without(one) for one in value] if isinstance(value, list | tuple) else value
