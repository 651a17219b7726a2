"""python -m benchmarks.limit: how much of what the cores could do reaches the callers.

For each model, by turns in one run: the engine in process, decode and resize alone, the server with tensors and with
files, at several numbers of callers. Served ÷ limit, where limit = 1 / (cost of reading + cost of the engine) on the
same cores, measured right before. The callers' own work is on those cores too, and is no part of the limit.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import msgspec
import numpy as np

from benchmarks.figures import write
from benchmarks.limit import report
from benchmarks.limit.inprocess import InProcess
from benchmarks.live import ServerEnded
from benchmarks.load.generator import Generator
from benchmarks.load.slo import Campaign, Slo, SloError
from benchmarks.load.target import own_target
from benchmarks.load.traffic import Item, files_description, items
from benchmarks.options import add_data, add_runs, end_on_signals, named, positive
from benchmarks.setting import Setting
from export.models import all_specs
from export.spec import ModelSpec
from medserve import Client

USERS = (1, 8, 32, 100, 300)
SECONDS, WARM_S, IN_PROCESS_S = 6, 3, 3.0
FAR = 0.05  # between the engine's first output in process and the server's: another picture's is farther


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit status: 1 if a target is missed, or a run proves nothing."""
    options = _parser().parse_args(arguments)
    specs = all_specs()
    end_on_signals()
    names = named(options.models, [spec.name for spec in specs.values() if not spec.on_request])
    setting = Setting.here(options.repository, files_description(Campaign.read(), options.data, names), names)
    print(f"{setting}; {options.rounds} rounds by turns", flush=True)
    found: dict[str, list[report.Turn]] = {}
    missed: list[str] = []
    started = time.strftime("%Y%m%d-%H%M%S")
    try:
        for name in names:
            found[name] = _turns(specs[name], options)
            file = write(report.Limit(setting=setting, models=found), options.out, f"limit-{started}")
            print("\n" + report.table(name, found[name]), flush=True)
            missed += report.missed(name, found[name])
    except (SloError, ServerEnded) as exc:
        print(f"limit: {exc}; what was measured before is in {options.out}", file=sys.stderr)
        return 1
    print("\n".join([*missed, str(file)]))
    return 1 if missed else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.limit", description=__doc__)
    parser.add_argument("--models", default=os.environ.get("MODELS", ""), help="names; none: all but those on request")
    parser.add_argument("--users", type=_users, default=",".join(map(str, USERS)), help=f"{report.AT} among them")
    add_runs(parser, "--rounds", "3", "by turns")
    parser.add_argument("--repository", type=Path, default=Path("model_repository"))
    add_data(parser)
    parser.add_argument("--out", type=Path, default=Path(".run/limit"))
    return parser


def _users(text: str) -> list[int]:
    found = [positive(number) for number in text.split(",")]
    if report.AT not in found:  # where the targets are
        raise argparse.ArgumentTypeError(f"expected {report.AT} among them, got {text}")
    return found


def _turns(spec: ModelSpec, options: argparse.Namespace) -> list[report.Turn]:
    campaign = Campaign.read()
    sends: list[Literal["tensors", "files"]] = ["tensors", "files"] if spec.takes_one_picture else ["files"]
    slos = {
        (send, number): Slo(name=f"{send}-{number}", models={spec.name: 1}, users=number, send=send, p95_ms=1e9)
        for number in options.users
        for send in sends
    }
    sent = items(campaign.files[spec.name], options.data)
    work = InProcess(spec, options.repository, sent)
    found = []
    with tempfile.TemporaryDirectory() as folder, own_target(options.repository, [spec.name]) as target:
        own = msgspec.structs.replace(campaign, seconds=SECONDS, warm_s=WARM_S)
        generator = Generator(own, options.data, Path(folder))
        _check(spec, work, target.urls["grpc"], sent)
        for turn in range(options.rounds):
            for (send, number), slo in slos.items():
                cost = work.cost(IN_PROCESS_S)
                found.append(report.Turn(send, number, cost, *generator.run(slo, target, turn)))
    return found


def _check(spec: ModelSpec, work: InProcess, url: str, sent: Sequence[Item]) -> None:
    """Raises SloError: the server computes something else than the engine in process."""
    output = spec.outputs[0].name
    with Client(url) as client:
        answers = [client.predict(spec.name, item).outputs[output] for item in sent]
    far = max(
        float(np.abs(np.subtract(one, other, dtype=np.float64)).max())
        for one, other in zip(work.first_outputs(), answers, strict=True)
    )
    if not far <= FAR:  # of NaN neither is true
        raise SloError(f"{spec.name}: expected the server's {output} within {FAR} of the engine's, got {far:.3f} apart")


if __name__ == "__main__":
    sys.exit(main())
