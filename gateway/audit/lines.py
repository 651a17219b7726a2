"""Entries ↔ lines: canonical JSON, which is stored and hashed as it stands.

A line is one JSON object: keys sorted, no spaces, ASCII only (anything else as \\uXXXX), so that it is the same bytes
in every database, whatever its encoding, and one line of text in every editor.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec

from gateway.audit.entry import Entry
from gateway.audit.errors import ChainBroken

RETENTION = "retention"


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """The line that a removal by age leaves at the end of the chain.

    Args:
        time: UTC, of the removal.
        removed: how many lines it took.
        removed_through: number of the last of them.
        removed_hash: of that line: what the first line kept is chained to.
    """

    kind: str = RETENTION
    time: datetime
    removed: int
    removed_through: int
    removed_hash: str


class Glance(msgspec.Struct):
    """What lines are sorted out by, read without the rest. A retention line has neither id nor model."""

    kind: str
    time: datetime
    prediction_id: str = ""
    model: str = ""


_GLANCE = msgspec.json.Decoder(Glance)
_ENTRY = msgspec.json.Decoder(Entry)
_CHECKPOINT = msgspec.json.Decoder(Checkpoint)


def canonical(value: Any) -> str:
    """A dataclass of text, numbers, times and tuples as its one line."""
    return json.dumps(msgspec.to_builtins(value), sort_keys=True, separators=(",", ":"), allow_nan=False)


def glance(line: str, place: str) -> Glance:
    """Raises: ChainBroken: no line of this log."""
    try:
        return _GLANCE.decode(line)
    except (msgspec.MsgspecError, UnicodeError) as exc:
        raise ChainBroken(place, "expected a line of this log, found another text") from exc


def entry(line: str, place: str) -> Entry:
    """Raises: ChainBroken: no entry, or one that could not have been recorded."""
    try:
        return _ENTRY.decode(line)
    except (msgspec.MsgspecError, UnicodeError) as exc:
        raise ChainBroken(place, "expected an entry, found another text") from exc


def checkpoint(line: str, place: str) -> Checkpoint:
    """Raises: ChainBroken: no retention line."""
    try:
        return _CHECKPOINT.decode(line)
    except (msgspec.MsgspecError, UnicodeError) as exc:
        raise ChainBroken(place, "expected a retention line, found another text") from exc
