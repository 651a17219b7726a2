"""The load generator, for Locust. `make load` runs it; a cluster's load machines run it by themselves:

locust -f benchmarks/locustfile.py --host grpc://server:8001 --slo mixed --headless --out run.json
… the same with --master, and with --worker --master-host … on each further machine.
"""

from __future__ import annotations

import random
import time
from argparse import ArgumentParser
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import gevent.pool
import locust  # makes the standard library's sockets and threads gevent's, so it comes before what uses them
import msgspec
from grpc.experimental import gevent as grpc_gevent
from locust.runners import MasterRunner, WorkerRunner

from benchmarks.load import run
from benchmarks.load.caller import Caller, WrongAnswer
from benchmarks.load.recorder import Recorder
from benchmarks.load.slo import FILE, Campaign, Slo
from benchmarks.load.traffic import items
from medserve import MedServeError, Unavailable

grpc_gevent.init_gevent()
TIMEOUT_S = 30.0
MESSAGE = "medserve"  # what a worker tells the master, beside Locust's own figures


class Load:
    """What the users of one process share.

    Args:
        campaign: the file of promises.
        slo: the one that is run.
        url: of the server.
        data: the sample data, if it is at hand.
    """

    def __init__(self, campaign: Campaign, slo: Slo, url: str, data: Path | None) -> None:
        self.slo, self.campaign = slo, campaign
        self.recorder = Recorder(campaign.warm(slo))
        self.caller = Caller(url, slo.send, slo.timeout_s or TIMEOUT_S)
        self._items = {model: items(campaign.sent(slo, model), data) for model in slo.models}
        self._random = random.Random(time.time_ns())  # noqa: S311
        self._started = time.perf_counter()
        self._cpu_s = time.process_time()
        self.counts = Counter[str]()
        self.under_way = gevent.pool.Group()

    def learn(self) -> None:
        """Before there is any load."""
        self.caller.learn(self._items)

    def start(self) -> None:
        """The clock, and nothing counted yet."""
        self.recorder.clear()
        self.counts.clear()
        self._started, self._cpu_s = time.perf_counter(), time.process_time()

    def one(self, waited_s: float = 0.0) -> None:
        """One call, from choosing its item to its record.

        Args:
            waited_s: since it was due: a caller who came on time has waited for that too.
        """
        (model,) = self._random.choices(list(self.slo.models), list(self.slo.models.values()))
        place = self._random.randrange(len(self._items[model]))
        begun = time.perf_counter() - waited_s
        failure: Exception | None = None
        self.counts["offered"] += 1
        try:
            latency = self.caller.call(model, place) + waited_s
        except Unavailable as exc:
            latency, failure = time.perf_counter() - begun, exc
            self.recorder.refusal(self._now_s, latency) if self.slo.may_refuse else self.recorder.failure(_said(exc))
        except (MedServeError, WrongAnswer) as exc:
            latency, failure = time.perf_counter() - begun, exc
            self.recorder.failure(_said(exc))
        else:
            self.recorder.answer(model, self._now_s, latency)
            self.counts["checked"] += 1
        self.counts["ended"] += 1
        locust.events.request.fire(
            request_type=self.slo.protocol, name=model, response_time=latency * 1e3, response_length=0,
            exception=failure, context={},
        )  # fmt: skip

    def taken(self) -> dict[str, Any]:
        """What was counted since it was last taken, for the master."""
        now = time.process_time()
        self.counts["cpu_ms"] += round((now - self._cpu_s) * 1e3)
        self._cpu_s = now
        found = {"recorded": self.recorder.packed(), "counts": dict(self.counts)}
        self.recorder.clear()
        self.counts.clear()
        return found

    def add(self, taken: Mapping[str, Any]) -> None:
        """What a worker has counted."""
        self.recorder.add(taken["recorded"])
        self.counts.update(taken["counts"])

    def result(self) -> run.Run:
        """All of it."""
        counts = self.counts + Counter(cpu_ms=round((time.process_time() - self._cpu_s) * 1e3))
        if lost := counts["offered"] - counts["ended"]:
            self.recorder.failed["never ended"] += lost
        seconds = sum(seconds for seconds, _ in self.campaign.phases(self.slo)) - self.campaign.warm(self.slo)
        return run.of(
            self.recorder,
            self.slo.name,
            list(self.slo.models),
            seconds,
            offered=counts["offered"],
            checked=counts["checked"],
            client_cpu_s=counts["cpu_ms"] / 1e3,
        )

    @property
    def _now_s(self) -> float:
        return time.perf_counter() - self._started


class Waiting(locust.User):
    """Asks again as soon as it is answered: a closed loop."""

    @locust.task
    def ask(self) -> None:
        """One call."""
        self.environment.load.one()


class Arriving(locust.User):
    """Calls that arrive by Poisson's law: an open loop. Many such users together are one, of their rates' sum."""

    def on_start(self) -> None:
        """The first call is not due at once."""
        self._due = time.perf_counter() + self._pause()

    @locust.task
    def arrive(self) -> None:
        """Wait until the next call is due, and begin it, whatever became of those before."""
        gevent.sleep(max(0.0, self._due - time.perf_counter()))
        late = time.perf_counter() - self._due
        load = self.environment.load
        load.under_way.spawn(load.one, late)
        self._due += self._pause()

    def _pause(self) -> float:
        load = self.environment.load
        return random.expovariate(load.slo.per_second / load.slo.users)


class Phases(locust.LoadTestShape):
    """So many users, for so many seconds, and so on."""

    def tick(self) -> tuple[int, float] | None:
        """(users, how many begin a second) now; None: the end."""
        load: Load = cast(Any, self.runner).environment.load
        ends = 0
        for seconds, users in load.campaign.phases(load.slo):
            ends += seconds
            if self.get_run_time() < ends:
                return users, float(users)
        return None


def _options(parser: ArgumentParser) -> None:
    parser.add_argument("--slo", required=True, help="name of a promise in the file")
    parser.add_argument("--slo-file", type=Path, default=FILE)
    parser.add_argument("--data", type=Path, default=None, help="folder of sample data; without it, files are made")
    parser.add_argument("--out", type=Path, required=True, help="JSON file of the figures")


def _prepare(environment: Any, **_: object) -> None:
    options = environment.parsed_options
    campaign = Campaign.read(options.slo_file)
    (slo,) = campaign.chosen([options.slo])
    environment.load = Load(campaign, slo, options.host, options.data)
    environment.user_classes = [Arriving if slo.per_second else Waiting]
    environment.stop_timeout = slo.timeout_s or TIMEOUT_S
    load = environment.load
    if isinstance(environment.runner, MasterRunner):
        environment.events.worker_report.add_listener(lambda data, **_: load.add(data[MESSAGE]))
        return
    load.learn()
    if isinstance(environment.runner, WorkerRunner):
        environment.events.report_to_master.add_listener(lambda data, **_: data.update({MESSAGE: load.taken()}))


def _start(environment: Any, **_: object) -> None:
    environment.load.start()


def _stop(environment: Any, **_: object) -> None:
    environment.load.under_way.join(environment.stop_timeout)


def _write(environment: Any, **_: object) -> None:
    if not isinstance(environment.runner, WorkerRunner):
        environment.parsed_options.out.write_bytes(msgspec.json.format(msgspec.json.encode(environment.load.result())))


def _said(exc: Exception) -> str:
    """One sentence for the same trouble, however often."""
    return f"{type(exc).__name__}: {exc}"[:200]


locust.events.init_command_line_parser.add_listener(_options)
locust.events.init.add_listener(_prepare)
locust.events.test_start.add_listener(_start)
locust.events.test_stop.add_listener(_stop)
locust.events.quitting.add_listener(_write)
