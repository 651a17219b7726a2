"""What a call costs, out of `make bench`: its CPU time by what took it, and its latency where nobody else calls."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.figures import FiguresError
from benchmarks.limit.report import AT, Limit, Turn
from benchmarks.load.table import FIRST_STEPS
from benchmarks.page.results import read


class CapacityError(ValueError):
    """A load that cannot be planned for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A call with a file; of several models, the mean one.

    Args:
        cpu_s: CPU time of the server, AT callers at once: in full batches.
        read_s, report_s, network_s: of it, of the processes that read files, write reports, run the network.
        alone_s, alone_p95_s: latency of a single caller: mean, and 95% of it.
        cores: that all this was measured on.
        memory_mb: of a server for these models, at most.
        guessed: models of which no single caller was measured: CPU time stands for the latency.
    """

    cpu_s: float
    read_s: float
    report_s: float
    network_s: float
    alone_s: float
    alone_p95_s: float
    cores: int
    memory_mb: float
    guessed: tuple[str, ...] = ()

    @property
    def host_s(self) -> float:
        """CPU time of all but the network: what a GPU needs beside it."""
        return self.cpu_s - self.network_s


def limit(folder: Path) -> Limit:
    """`make bench`'s figures.

    Raises:
        FiguresError: there are none.
    """
    found = read(folder / "limit.json")
    if not isinstance(found, Limit):
        raise FiguresError(f"{folder / 'limit.json'}: expected figures of `make bench`, got another benchmark's.")
    return found


def call(found: Limit, shares: Mapping[str, float]) -> Call:
    """The mean call.

    Args:
        found: see `limit`.
        shares: of each model; they need not add up to 1.

    Raises:
        CapacityError: a model that was not measured.
    """
    if unknown := [name for name in shares if name not in found.models]:
        raise CapacityError(
            f"models: expected some that were measured ({', '.join(found.models)}), got {', '.join(unknown)}. Measure "
            "it: `make bench MODELS=name`, then `python -m benchmarks.page keep .run/limit/FILE.json`."
        )
    every = [(share / sum(shares.values()), _one(name, found.models[name])) for name, share in shares.items()]
    return Call(
        cpu_s=sum(share * one.cpu_s for share, one in every),
        read_s=sum(share * one.read_s for share, one in every),
        report_s=sum(share * one.report_s for share, one in every),
        network_s=sum(share * one.network_s for share, one in every),
        alone_s=sum(share * one.alone_s for share, one in every),
        alone_p95_s=max(one.alone_p95_s for _, one in every),
        cores=every[0][1].cores,
        memory_mb=sum(one.memory_mb for _, one in every),
        guessed=tuple(name for _, one in every for name in one.guessed),
    )


def _one(name: str, turns: Sequence[Turn]) -> Call:
    with_files = [turn for turn in turns if turn.send == "files"]
    many = [turn for turn in with_files if turn.users == AT]
    alone = [turn.run.answered for turn in with_files if turn.users == 1]
    if not many:
        raise CapacityError(f"{name}: expected figures of {AT} callers who send files, got none. Run `make bench`.")
    cpu_s = _cpu_s(many)
    return Call(
        cpu_s=cpu_s,
        read_s=_cpu_s(many, *FIRST_STEPS),
        report_s=_cpu_s(many, "report_"),
        network_s=_cpu_s(many, f"{name}_net_"),
        alone_s=statistics.median(one.mean / 1e3 for one in alone) if alone else cpu_s,
        alone_p95_s=statistics.median(one.p95 / 1e3 for one in alone) if alone else cpu_s,
        cores=many[0].cost.cores,
        memory_mb=max(turn.served.memory_mb or 0.0 for turn in many),
        guessed=() if alone else (name,),
    )


def _cpu_s(turns: Sequence[Turn], *prefixes: str) -> float:
    """CPU seconds of a call, of the processes whose names begin so; none: of all. The turns' median."""
    return statistics.median(
        sum(spent for name, spent in turn.served.cpu_s.items() if name.startswith(prefixes or ""))
        / max(1, turn.run.offered)
        for turn in turns
    )
