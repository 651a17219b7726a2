"""python -m benchmarks.limit: how much of what the cores could do reaches the callers.

For each model, by turns in one run: the engine in process, decode and resize alone, the server with tensors and with
files, at several numbers of callers. Served ÷ limit, where limit = 1 / (cost of reading + cost of the engine) on the
same cores, measured right before. The callers' own work is on those cores too, and is no part of the limit.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import msgspec
import numpy as np

from benchmarks.limit.inprocess import Cost, InProcess
from benchmarks.live import ServerEnded, machine
from benchmarks.load.generator import Generator
from benchmarks.load.run import Run
from benchmarks.load.slo import Campaign, Slo, SloError
from benchmarks.load.target import own_target
from benchmarks.load.traffic import Item, items
from benchmarks.load.watch import Served
from export.models import all_specs
from export.spec import ModelSpec
from medserve import Client

TARGETS = {"tensors": 0.85, "files": 0.80}  # served ÷ limit, at AT callers
AT = 100
USERS = (1, 8, 32, 100, 300)
SECONDS, WARM_S, IN_PROCESS_S = 6, 3, 3.0
FAR = 0.05  # between the engine's first output in process and the server's: another picture's is farther


class Turn(msgspec.Struct, frozen=True):
    """One measurement of the server, and of the work itself right before."""

    send: str
    users: int
    cost: Cost
    run: Run
    served: Served

    @property
    def share(self) -> float:
        """Served ÷ limit."""
        limit = self.cost.tensors_per_second if self.send == "tensors" else self.cost.files_per_second
        return self.run.per_second / limit


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit status: 1 if a target is missed, or a run proves nothing."""
    options = _parser().parse_args(arguments)
    specs = all_specs()
    print(f"{machine()}; {options.rounds} rounds by turns", flush=True)
    found: dict[str, list[Turn]] = {}
    missed = []
    try:
        for name in options.models.split(","):
            found[name] = _turns(specs[name], options)
            missed += _told(name, found[name])
    except (SloError, ServerEnded) as exc:
        print(f"limit: {exc}", file=sys.stderr)
        return 1
    options.out.mkdir(parents=True, exist_ok=True)
    file = options.out / f"limit-{time.strftime('%Y%m%d-%H%M%S')}.json"
    file.write_bytes(msgspec.json.encode({"machine": machine(), "models": found}))
    print("\n".join([*missed, str(file)]))
    return 1 if missed else 0


def _parser() -> argparse.ArgumentParser:
    names = [spec.name for spec in all_specs().values() if not spec.on_request]
    parser = argparse.ArgumentParser(prog="python -m benchmarks.limit", description=__doc__)
    parser.add_argument("--models", default=os.environ.get("MODELS") or ",".join(names))
    parser.add_argument("--users", default=",".join(map(str, USERS)))
    parser.add_argument("--rounds", type=int, default=int(os.environ.get("RUNS") or 3))
    parser.add_argument("--repository", type=Path, default=Path("model_repository"))
    parser.add_argument("--data", default=os.environ.get("DATA", ""), help="folder of sample data")
    parser.add_argument("--out", type=Path, default=Path(".run/limit"))
    return parser


def _turns(spec: ModelSpec, options: argparse.Namespace) -> list[Turn]:
    campaign = Campaign.read()
    sends: list[Literal["tensors", "files"]] = ["tensors", "files"] if spec.takes_one_picture else ["files"]
    users = [int(number) for number in options.users.split(",")]
    slos = {
        (send, number): Slo(name=f"{send}-{number}", models={spec.name: 1}, users=number, send=send, p95_ms=1e9)
        for number in users
        for send in sends
    }
    data = Path(options.data) if options.data else None
    sent = items(campaign.files[spec.name], data)
    work = InProcess(spec, options.repository, sent)
    found = []
    with tempfile.TemporaryDirectory() as folder, own_target(options.repository, [spec.name]) as target:
        own = msgspec.structs.replace(campaign, seconds=SECONDS, warm_s=WARM_S)
        generator = Generator(own, options.data, Path(folder))
        _check(spec, work, target.urls["grpc"], sent)
        for turn in range(options.rounds):
            for (send, number), slo in slos.items():
                cost = work.cost(IN_PROCESS_S)
                found.append(Turn(send, number, cost, *generator.run(slo, target, turn)))
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
    if far > FAR:
        raise SloError(f"{spec.name}: expected the server's {output} within {FAR} of the engine's, got {far:.3f} apart")


def _told(name: str, turns: Sequence[Turn]) -> list[str]:
    """Print one model; return what it missed."""
    costs = [turn.cost for turn in turns]
    engine_ms = statistics.median(cost.engine_s for cost in costs) * 1e3
    read_ms = statistics.median(cost.read_s for cost in costs) * 1e3
    print(f"\n{name}: engine {engine_ms:.2f} ms on {costs[0].cores} cores, reading {read_ms:.2f} ms on one")
    print("| send | users | answers/s | served ÷ limit | p50 ms | p95 ms | CPU ms: server | callers | mean batch |")
    print("|---|--:|--:|--:|--:|--:|--:|--:|--:|")
    missed = [f"{name}: {turn.send} at {turn.users}: {each}" for turn in turns for each in turn.run.complaints()]
    for send, users in dict.fromkeys((turn.send, turn.users) for turn in turns):
        those = [turn for turn in turns if (turn.send, turn.users) == (send, users)]
        share = statistics.median(turn.share for turn in those)
        print(_row(send, users, share, those), flush=True)
        if users == AT and share < TARGETS[send]:
            missed.append(f"{name}: {send}: expected served ÷ limit of {TARGETS[send]} at {AT}, got {share:.2f}")
    return missed


def _row(send: str, users: int, share: float, turns: Sequence[Turn]) -> str:
    rate = statistics.median(turn.run.per_second for turn in turns)
    p50 = statistics.median(turn.run.answered.p50 for turn in turns)
    p95 = statistics.median(turn.run.answered.p95 for turn in turns)
    calls = sum(turn.run.offered for turn in turns)
    server = sum(sum(turn.served.cpu_s.values()) for turn in turns) / calls * 1e3
    callers = sum(turn.run.client_cpu_s for turn in turns) / calls * 1e3
    nets = [step for turn in turns for step in turn.served.steps if step.name.endswith("_net")]
    batch = sum(step.requests for step in nets) / max(1, sum(step.executions for step in nets))
    figures = (f"{rate:.1f}", f"{share:.2f}", f"{p50:.0f}", f"{p95:.0f}", f"{server:.2f}", f"{callers:.2f}")
    return f"| {send} | {users} | {' | '.join(figures)} | {batch:.1f} |"


if __name__ == "__main__":
    sys.exit(main())
