"""python -m benchmarks.capacity MODEL[=SHARE]…: how many replicas and GPUs a load takes.

From the CPU time of a call as `make bench` measured it (benchmarks/results), and for GPUs from published ceilings.
Users who wait for their answers are M/M/c//N, calls that come at random M/M/c.
"""

from __future__ import annotations

import argparse
import math
import statistics
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.capacity.measured import Call, CapacityError, call, limit
from benchmarks.capacity.plan import Load, Promise, outlook
from benchmarks.capacity.table import costs, table, unknown
from benchmarks.figures import FiguresError
from benchmarks.load.verdict import Judged
from benchmarks.load.verdict import Load as Judgements
from benchmarks.page.results import FOLDER, read
from export.models import all_specs

MOST = 100_000  # of anything: more is a slip of the hand


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit status."""
    try:
        print("\n".join(_told(_parser().parse_args(arguments))))
    except (CapacityError, FiguresError) as exc:
        print(f"capacity: {exc}", file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.capacity", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("models", nargs="+", metavar="MODEL[=SHARE]", help="and its share of the calls (1)")
    parser.add_argument("--users", default="", help="who wait for each answer before they call again")
    parser.add_argument("--think-s", default="0", help="mean seconds between an answer and its user's next call")
    parser.add_argument("--per-second", default="", help="calls that come at random, instead of users")
    parser.add_argument("--p95-ms", default="500", help="within which 95%% are to be answered (500, as in slo.toml)")
    parser.add_argument("--fill", default="0.6", help="share of the load that would keep that (0.6: your choice)")
    parser.add_argument("--spare", default="1", help="replicas that may be away meanwhile (1: your choice)")
    parser.add_argument("--figures", type=Path, default=FOLDER, help="folder of what was measured")
    return parser


def _told(options: argparse.Namespace) -> list[str]:
    shares, load, promise = _shares(options.models), _load(options), _promise(options)
    found = limit(options.figures)
    one, pictures = call(found, shares), _pictures(shares)
    mix = ", ".join(f"{name} × {share:g}" if len(shares) > 1 else name for name, share in shares.items())
    return [
        f"{mix}: {load}. 95% within {promise.p95_s * 1e3:g} ms, at {promise.fill:.0%} of the load that would keep "
        f"that, and {promise.spare} to spare.",
        "",
        table(one, load, promise, pictures, str(found.setting)),
        "",
        costs(one),
        *_checks(options.figures / "load.json", one, shares),
        "",
        "Not known:",
        "",
        *(f"- {sentence}" for sentence in unknown(one, list(shares), pictures)),
    ]


def _checks(file: Path, one: Call, shares: Mapping[str, float]) -> list[str]:
    """What the same reckoning says of runs that `make load` measured, beside what that was."""
    found = read(file) if file.is_file() else None
    if not isinstance(found, Judgements):
        return []
    return [
        f"Checked: of {each.slo.load} {'calls' if each.slo.per_second else 'users'} on one replica this says a p95 of "
        f"{predicted_s(one, each) * 1e3:.0f} ms; `make load` measured {each.figures['p95']:.0f} ms (commit "
        f"{found.setting.code})."
        for each in found.results
        if like(each, shares)
    ]


def like(each: Judged, shares: Mapping[str, float]) -> bool:
    """Whether it is a steady load of just these calls, as they were costed."""
    slo = each.slo
    others = slo.send != "files" or slo.size or slo.as_they_are or slo.batch > 1 or slo.protocol != "grpc"
    return slo.models == shares and not (others or slo.phases or slo.one_each)


def predicted_s(one: Call, each: Judged) -> float:
    """Its p95, out of the costs of a call and of its callers, who shared the cores."""
    callers_s = statistics.median(run.client_cpu_s / max(1, run.offered) for run in each.runs)
    users = 0 if each.slo.per_second else each.slo.users
    return outlook(one, Load(users=users, per_second=each.slo.per_second or 0.0), 1, callers_s)[1]


def _pictures(shares: Mapping[str, float]) -> int:
    """In a call, at most; 0: some have none."""
    specs = all_specs()
    counts = [len(specs[name].explained) for name in shares if name in specs]
    return max(counts, default=1) if all(counts) else 0


def _shares(texts: Sequence[str]) -> dict[str, float]:
    found: dict[str, float] = {}
    for text in texts:
        name, _, share = text.partition("=")
        if name in found:
            raise CapacityError(f"models: expected each once, got {name} twice. Add its shares up.")
        found[name] = _number(name, share or "1")
    return found


def _load(options: argparse.Namespace) -> Load:
    if bool(options.users) == bool(options.per_second):
        raise CapacityError("load: expected either --users or --per-second, got both or neither. Say who calls.")
    think_s = _number("--think-s", options.think_s, least=0)
    if options.users:
        return Load(users=int(_number("--users", options.users, least=1, whole=True)), think_s=think_s)
    if think_s:
        raise CapacityError("--think-s: expected --users beside it, got --per-second, whose calls wait for nobody.")
    return Load(per_second=_number("--per-second", options.per_second))


def _promise(options: argparse.Namespace) -> Promise:
    return Promise(
        p95_s=_number("--p95-ms", options.p95_ms) / 1e3,
        fill=_number("--fill", options.fill, most=1),
        spare=int(_number("--spare", options.spare, least=0, whole=True)),
    )


def _number(name: str, text: str, *, least: float = 1e-6, most: float = MOST, whole: bool = False) -> float:
    try:
        found = float(text)
    except ValueError:
        found = math.nan
    if not least <= found <= most or (whole and found % 1):  # of NaN nothing is true
        kind = "whole number" if whole else "number"
        raise CapacityError(f"{name}: expected a {kind} from {least:g} to {most:g}, got {text!r}.")
    return found


if __name__ == "__main__":
    sys.exit(main())
