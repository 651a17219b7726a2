"""What a panel is: what it asks, how it is drawn, what to look for in it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto


class Kind(Enum):
    """How it is drawn."""

    LINES = auto()
    STACKED = auto()  # parts of a sum
    SHARES = auto()  # parts of a whole, as bars
    NUMBER = auto()  # the newest value alone
    STATES = auto()  # a line of colours for each series


@dataclass(frozen=True, slots=True)
class Query:
    """One expression.

    Args:
        expr: PromQL, with the dashboard's variables.
        legend: names its series.
    """

    expr: str
    legend: str = ""


@dataclass(frozen=True, slots=True)
class Panel:
    """One panel.

    Args:
        title: what is seen.
        look_for: its description: what is well, what is not.
        unit: Grafana's name of it.
        queries: in the order of their legends.
        width: of 24.
        kind: see Kind.
        steps: (from this value on, colour); below the first it is green. On lines they are dashes.
        words: value → (word, colour), for STATES.
        most: of the axis; None: as much as there is.
    """

    title: str
    look_for: str
    unit: str
    queries: tuple[Query, ...]
    width: int = 8
    kind: Kind = Kind.LINES
    steps: tuple[tuple[float, str], ...] = ()
    words: Mapping[str, tuple[str, str]] | None = None
    most: float | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """Panels under one heading.

    Args:
        collapsed: until somebody wants it.
    """

    title: str
    panels: tuple[Panel, ...]
    collapsed: bool = False


@dataclass(frozen=True, slots=True)
class Variable:
    """What the reader chooses, any number of values; "all" also takes what has no such label.

    Args:
        name: $name in expressions.
        label: beside the choice.
        query: where its values come from.
        everything: what "all" is in an expression; "": all of its values.
    """

    name: str
    label: str
    query: str
    everything: str = ".*"
