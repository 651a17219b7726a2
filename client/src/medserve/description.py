"""What a server says of its models and of itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

STATISTICS = "statistics"  # the output that holds them


@dataclass(frozen=True, slots=True, kw_only=True)
class Input:
    """One thing that a model takes.

    Args:
        name: keyword of `predict`.
        meaning: what it is, and in which formats.
        optional: whether it may be left out.
        heatmap: the output that explains it; "" where there is none.
        pixels: the tensor that the network sees of it; "" where it is no picture.
        step: the server's model that makes that tensor of a file.
    """

    name: str
    meaning: str
    optional: bool
    heatmap: str
    pixels: str
    step: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Description:
    """One model, as its server declares it.

    Args:
        name: first argument of `predict`.
        net: the server's model that runs the network itself; "" where it does not say.
        task: a sentence.
        labels: in the order of the probabilities; empty for a regression.
        unit: of a regression's number.
        inputs: in order.
        outputs: name → meaning.
        intended_use, disclaimer: to be shown with answers.
        limits: what is known not to work.
        trained: False: random weights.
        statistics: names of the numbers that say what an input is like; empty where the server tells none.
        aliases: its names in the source projects' routes.
        report: everything that the server says, the rules and the gate's figures too.
    """

    name: str
    net: str
    task: str
    labels: tuple[str, ...]
    unit: str
    inputs: tuple[Input, ...]
    outputs: Mapping[str, str]
    intended_use: str
    limits: tuple[str, ...]
    disclaimer: str
    trained: bool
    statistics: tuple[str, ...]
    aliases: tuple[str, ...]
    report: Mapping[str, Any]

    @classmethod
    def read(cls, name: str, found: Mapping[str, Any]) -> Description:
        """Of one entry of the server's JSON."""
        return cls(
            name=name,
            net=found.get("net", ""),
            task=found["task"],
            labels=tuple(found["labels"]),
            unit=found["unit"],
            inputs=tuple(
                Input(**{field: sent[field] for field in ("name", "meaning", "optional", "heatmap", "pixels", "step")})
                for sent in found["inputs"]
            ),
            outputs={given["name"]: given["meaning"] for given in found["outputs"]},
            intended_use=found["intended_use"],
            limits=tuple(found["limits"]),
            disclaimer=found["disclaimer"],
            trained=bool(found["weights"]["trained"]),
            statistics=tuple(found.get("statistics", ())),
            aliases=tuple(found.get("aliases", ())),
            report=found,
        )

    @property
    def optional(self) -> Mapping[str, bool]:
        """Input name → whether it may be left out."""
        return {sent.name: sent.optional for sent in self.inputs}


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """Whether a server can be used now.

    Args:
        live: somebody answers there.
        ready: and takes requests.
        models: by name, whether each can be asked.
        reason: why not; "" where all can.
    """

    live: bool
    ready: bool
    models: Mapping[str, bool]
    reason: str = ""
