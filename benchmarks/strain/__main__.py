"""python -m benchmarks.strain: a server of its own under more load than it can carry, or under load for long.

overload   ten times its capacity for a minute, from 300 callers and from however many come
soak       four fifths of its capacity for half an hour
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec

from benchmarks.live import ServerEnded, machine
from benchmarks.load.generator import Generator
from benchmarks.load.slo import Campaign, SloError
from benchmarks.load.target import own_target
from benchmarks.load.traffic import items
from benchmarks.strain import overload, soak


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit status: 1 if something expected did not hold, or a run proves nothing."""
    options = _parser().parse_args(arguments)
    campaign = Campaign.read()
    data = Path(options.data) if options.data else None
    print(machine(), flush=True)
    found: list[overload.Overload | soak.Soak] = []
    try:
        item = items(campaign.files[options.model], data)[0]
        with tempfile.TemporaryDirectory() as folder, own_target(options.repository, [options.model]) as target:
            generator = Generator(campaign, options.data, Path(folder))
            if options.command == "soak":
                found.append(soaked := soak.measured(generator, target, options.model, item, options.seconds))
                print(_soaked(soaked), flush=True)
            for turn in range(2 * options.runs if options.command == "overload" else 0):
                one = overload.measured(generator, target, options.model, item, one_each=turn % 2 == 0)
                found.append(one)
                print(_overloaded(one), flush=True)
    except (SloError, ServerEnded, KeyError) as exc:
        print(f"strain: {exc}", file=sys.stderr)
        return 1
    options.out.mkdir(parents=True, exist_ok=True)
    file = options.out / f"{options.command}-{options.model}-{time.strftime('%Y%m%d-%H%M%S')}.json"
    file.write_bytes(msgspec.json.encode({"machine": machine(), "model": options.model, options.command: found}))
    missed = [sentence for each in found for sentence in each.missed()]
    print("\n".join([*missed, str(file)]))
    return 1 if missed else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.strain", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    variable = os.environ.get
    parser.add_argument("command", choices=("overload", "soak"))
    parser.add_argument("--model", default=variable("MODELS") or "chest_xray")
    parser.add_argument("--runs", type=int, default=int(variable("RUNS") or 3), help="of overload, of each kind")
    parser.add_argument("--seconds", type=int, default=1800, help="of soak")
    parser.add_argument("--repository", type=Path, default=Path("model_repository"))
    parser.add_argument("--data", default=variable("DATA", ""), help="folder of sample data")
    parser.add_argument("--out", type=Path, default=Path(".run/strain"))
    return parser


def _overloaded(found: overload.Overload) -> str:
    first, second = found.memory_mb
    return (
        f"{'300 callers' if found.one_each else 'whoever comes'}: capacity {found.capacity.per_second:.1f}/s, offered "
        f"{found.run.offered / found.run.seconds:.0f}/s, answered {found.run.per_second:.1f}/s ({found.goodput:.2f}; "
        f"{found.goodput_of_rest:.2f} of what the callers left), p95 {found.run.answered.p95:.0f} ms; refused "
        f"{found.run.refused.count / found.run.seconds:.0f}/s after {found.run.refused.p50:.0f} ms (longest "
        f"{found.run.refused.longest:.0f}); {sum(found.run.failed.values())} failed; normal again after "
        f"{found.recovery_s:.1f} s; {first:.0f} → {second:.0f} MB"
    )


def _soaked(found: soak.Soak) -> str:
    before, after = found.capacity
    first, second = found.run.halves
    return (
        f"capacity {before.per_second:.1f}/s before, {after.per_second:.1f}/s after; {found.run.seconds:.0f} s at "
        f"{found.run.per_second:.1f}/s: p50 {found.run.answered.p50:.0f} ms, p99 {first.p99:.0f} → "
        f"{second.p99:.0f} ms ({found.drift:+.1%}); {found.memory_mb[0]:.0f} → {found.memory_mb[1]:.0f} MB "
        f"({found.growth:+.1%}); {sum(found.run.failed.values())} failed"
    )


if __name__ == "__main__":
    sys.exit(main())
