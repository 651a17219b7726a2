"""What the benchmarks wrote, read again: one JSON file of each kind."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Annotated, Any

import msgspec

from benchmarks.limit.report import Turn as LimitTurn
from benchmarks.load.verdict import Judged
from benchmarks.peers.report import Turn as PeerTurn
from benchmarks.setting import Setting
from benchmarks.strain.overload import Overload
from benchmarks.strain.soak import Soak

FOLDER = Path(__file__).resolve().parent.parent / "results"
SOME = msgspec.Meta(min_length=1)  # an empty series has kept every promise
# For pictures, not for tables, and most of a file.
_LEFT_OUT: dict[str, Any] = {"timeline": [], "buckets": [], "batches": {}}


class ResultsError(ValueError):
    """A file that no benchmark wrote."""


class Load(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="load"):
    """`make load`: a promise each."""

    setting: Setting
    results: Annotated[list[Judged], SOME]


class Limit(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="limit"):
    """`make bench`: turns by model."""

    setting: Setting
    models: Annotated[dict[str, Annotated[list[LimitTurn], SOME]], SOME]


class Peers(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="peers"):
    """`make peers`."""

    setting: Setting
    turns: Annotated[list[PeerTurn], SOME]


class Overloads(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="overload"):
    """`make overload`."""

    setting: Setting
    model: str
    overload: Annotated[list[Overload], SOME]


class Soaks(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="soak"):
    """`make soak`."""

    setting: Setting
    model: str
    soak: Annotated[list[Soak], SOME]


Results = Load | Limit | Peers | Overloads | Soaks


def read(file: Path) -> Results:
    """Raises ResultsError: not of a benchmark's, or of an older one's."""
    try:
        return _decoded(file.read_bytes(), file)
    except OSError as exc:
        raise ResultsError(f"{file}: expected a benchmark's figures: {exc}") from exc


def write(found: Results, folder: Path, name: str) -> Path:
    """Whole, for people and pictures; returns the file.

    Raises:
        ResultsError: nothing was measured.
    """
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{name}.json"
    content = msgspec.json.encode(found)
    _decoded(content, file)
    made = file.with_suffix(".part")
    made.write_bytes(content)
    made.replace(file)  # whole, or not at all: a disk may be full
    return file


def kept(file: Path, folder: Path = FOLDER) -> Path:
    """Keep the tables' figures of a file for the page, in the place of earlier ones of the same; of `make load` and
    `make bench`, which take long, those of other promises and models stay if they are of the same machine and code."""
    small = _without(msgspec.to_builtins(read(file)))
    target = folder / f"{small['kind']}.json"
    found: Results = msgspec.convert(small, Results)
    with contextlib.suppress(ResultsError):  # there is none, or an older benchmark's
        found = _joined(read(target), found)
    return write(found, folder, small["kind"])


def _decoded(content: bytes, file: Path) -> Results:
    try:
        found: Results = msgspec.json.decode(content, type=Results)
    except msgspec.DecodeError as exc:
        raise ResultsError(f"{file}: expected a benchmark's figures: {exc}") from exc
    return found


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
