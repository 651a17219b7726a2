"""What may be said of a model to those who call it: its contract, its rules, its limits."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from report.rules import Rules


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """What a caller sends.

    Args:
        optional: may be zero bytes long, which means absent.
        step: the Triton model that reads it; its output `pixels` is the picture as the network sees it.
        pixels: name of that output; "" for what is no picture.
        heatmap: the model's output that explains this picture; "" for what is no picture.
    """

    name: str
    meaning: str
    optional: bool
    step: str
    pixels: str
    heatmap: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """What a caller gets: FP32, without the batch axis; -1 where the size is known only at run time."""

    name: str
    dims: tuple[int, ...]
    meaning: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """Two figures of a regression between which the truth lies.

    Args:
        lower, upper: names of the figures.
        level: how often it does, 0..1.
    """

    lower: str
    upper: str
    level: float


@dataclass(frozen=True, slots=True, kw_only=True)
class FirstStep:
    """What makes the network's inputs of what callers send; whoever has `preprocess` can do it in the server's place.

    Args:
        name: the Triton model that does it.
        function: "module:function" of `preprocess`; takes a list for each of the model's inputs.
        arguments: keywords of that function, as plain JSON.
        tensors: what it returns, by name: the inputs of `Declaration.net`.
    """

    name: str
    function: str
    arguments: dict[str, Any]
    tensors: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Declaration:
    """The part of a model's spec that concerns whoever reads its answers.

    Args:
        net: the Triton model that runs the network itself.
        step: see FirstStep; None in cards of older exports.
        statistics: of what was sent, in the order of the output of that name; see preprocess.statistics.
        aliases: other names of this model in the source projects' routes.
        summary_fields: the report step's figures, in order.
        claim: figures of the source project, as it states them; nobody here has checked them.
    """

    task: str
    net: str = ""
    step: FirstStep | None = None
    labels: tuple[str, ...] = ()
    unit: str = ""
    inputs: tuple[Sent, ...] = ()
    outputs: tuple[Given, ...] = ()
    statistics: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    summary_fields: tuple[str, ...]
    interval: Interval | None = None
    rules: Rules = field(default_factory=Rules)
    intended_use: str
    limits: tuple[str, ...] = ()
    disclaimer: str
    claim: str
