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

from benchmarks.figures import write
from benchmarks.live import ServerEnded
from benchmarks.load.generator import Generator
from benchmarks.load.slo import Campaign, SloError
from benchmarks.load.target import own_target
from benchmarks.load.traffic import items, told
from benchmarks.options import add_data, add_runs, end_on_signals, positive
from benchmarks.setting import Setting
from benchmarks.strain import overload, report, soak

CAMPAIGN = Campaign.read()


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit status: 1 if something expected did not hold, or a run proves nothing."""
    options = _parser().parse_args(arguments)
    end_on_signals()
    setting = Setting.here(options.repository, told(CAMPAIGN, options.data, [options.model]), [options.model])
    print(setting, flush=True)
    overloads: list[overload.Overload] = []
    soaks: list[soak.Soak] = []
    try:
        item = items(CAMPAIGN.files[options.model], options.data)[0]
        with tempfile.TemporaryDirectory() as folder, own_target(options.repository, [options.model]) as target:
            generator = Generator(CAMPAIGN, options.data, Path(folder))
            if options.command == "soak":
                soaks.append(
                    soaked := soak.measured(generator, target, options.model, item, options.seconds or soak.SECONDS)
                )
                print(f"{report.SOAK}\n{report.soak_row(soaked)}", flush=True)
            if options.command == "overload":
                print(report.OVERLOAD, flush=True)
            for turn in range(2 * options.runs if options.command == "overload" else 0):
                one = overload.measured(
                    generator, target, options.model, item, options.seconds or overload.SECONDS, one_each=turn % 2 == 0
                )
                overloads.append(one)
                print(report.overload_row([one]), flush=True)
    except (SloError, ServerEnded) as exc:
        print(f"strain: {exc}", file=sys.stderr)
        return 1
    results = (
        overload.Overloads(setting=setting, model=options.model, overload=overloads)
        if overloads
        else soak.Soaks(setting=setting, model=options.model, soak=soaks)
    )
    file = write(results, options.out, f"{options.command}-{options.model}-{time.strftime('%Y%m%d-%H%M%S')}")
    missed = [sentence for each in overloads for sentence in each.missed()]
    missed += [sentence for each in soaks for sentence in each.missed()]
    print("\n".join([*missed, str(file)]))
    return 1 if missed else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.strain", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    variable = os.environ.get
    parser.add_argument("command", choices=("overload", "soak"))
    parser.add_argument(
        "--model", choices=list(CAMPAIGN.files), default=variable("MODELS") or next(iter(CAMPAIGN.files))
    )
    add_runs(parser, "--runs", "3", "of overload, of each kind")
    parser.add_argument("--seconds", type=positive, help="measured, of each run: 60 of overload, 1800 of soak")
    parser.add_argument("--repository", type=Path, default=Path("model_repository"))
    add_data(parser)
    parser.add_argument("--out", type=Path, default=Path(".run/strain"))
    return parser


if __name__ == "__main__":
    sys.exit(main())
