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
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks.figures import write
from benchmarks.live import ServerEnded
from benchmarks.load.generator import Generator
from benchmarks.load.slo import Campaign, SloError
from benchmarks.load.target import Target, own_target
from benchmarks.load.traffic import Item, files_description, items
from benchmarks.options import add_data, add_runs, end_on_signals, positive
from benchmarks.setting import Setting
from benchmarks.strain import overload, report, soak

CAMPAIGN = Campaign.read()


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit status: 1 if something expected did not hold, or a run proves nothing."""
    options = _parser().parse_args(arguments)
    end_on_signals()
    setting = Setting.here(
        options.repository, files_description(CAMPAIGN, options.data, [options.model]), [options.model]
    )
    print(setting, flush=True)
    name = f"{options.command}-{options.model}-{time.strftime('%Y%m%d-%H%M%S')}"
    missed: list[str] = []
    try:
        item = items(CAMPAIGN.files[options.model], options.data)[0]
        with (
            tempfile.TemporaryDirectory() as folder,
            own_target(options.repository, [options.model], step_back=True) as target,
        ):
            generator = Generator(CAMPAIGN, options.data, Path(folder))
            measure = _overload if options.command == "overload" else _soak
            for results, sentences in measure(options, setting, generator, target, item):
                missed = sentences
                print(write(results, options.out, name), flush=True)
    except (SloError, ServerEnded) as exc:
        missed = [*missed, str(exc)]
    print("\n".join(missed))
    return 1 if missed else 0


def _overload(
    options: argparse.Namespace, setting: Setting, generator: Generator, target: Target, item: Item
) -> Iterator[tuple[overload.Overloads, list[str]]]:
    """After each run, all until then."""
    found: list[overload.Overload] = []
    print(report.OVERLOAD, flush=True)
    for one_each in (True, False) * options.runs:
        seconds = options.seconds or overload.SECONDS
        found.append(overload.measured(generator, target, options.model, item, seconds, one_each=one_each))
        print(report.overload_row(found[-1:]), flush=True)
        results = overload.Overloads(setting=setting, model=options.model, overload=found)
        yield results, [sentence for each in found for sentence in each.missed()]


def _soak(
    options: argparse.Namespace, setting: Setting, generator: Generator, target: Target, item: Item
) -> Iterator[tuple[soak.Soaks, list[str]]]:
    seconds = options.seconds or soak.SECONDS
    found = soak.measured(generator, target, options.model, item, seconds, options.percent)
    print(f"{report.SOAK}\n{report.soak_row(found)}", flush=True)
    yield soak.Soaks(setting=setting, model=options.model, soak=[found]), found.missed()


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
    parser.add_argument("--percent", type=positive, default=soak.PERCENT, help="of its capacity, for a soak")
    parser.add_argument("--repository", type=Path, default=Path("model_repository"))
    add_data(parser)
    parser.add_argument("--out", type=Path, default=Path(".run/strain"))
    return parser


if __name__ == "__main__":
    sys.exit(main())
