"""The load generator, for Locust. `make load` runs it; a cluster's load machines run it by themselves:

    LOCUST_SKIP_MONKEY_PATCH=1 locust -f benchmarks/locustfile.py --host grpc://server:8001 --slo mixed --headless \
        --out run.json --master --expect-workers 2
    … the same with --worker --master-host … on each further machine.
    python -m benchmarks.load --slo mixed --judge run.json
"""

from __future__ import annotations

import os
import threading
import time
from argparse import ArgumentParser
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any, cast

import gevent.monkey
import locust
import msgspec
from locust.runners import MasterRunner, WorkerRunner

from benchmarks.load.crowd import Crowd
from benchmarks.load.generator import BEGAN, ENDED
from benchmarks.load.slo import FILE, Campaign

MESSAGE = "medserve"  # what a worker tells the master, beside Locust's own figures
LEARNT = "medserve-learnt"  # a worker is ready to ask
END = "medserve-end"  # what the master tells its workers
POLL_S = 0.1
LOOK_S = 1.0  # between two looks at each caller: a thousand a second would take the cores from what is measured
PATIENCE_S = 10.0  # beyond the time that a call may take
LEARNING_S = 300.0  # that workers may take to ask for each item once

if not os.environ.get("LOCUST_SKIP_MONKEY_PATCH"):
    raise SystemExit(
        "locustfile: expected LOCUST_SKIP_MONKEY_PATCH=1 in the environment: the callers have their own event loop"
    )
gevent.monkey.patch_time()  # Locust's master waits for its workers with time.sleep


class Caller(locust.User):
    """One of those who ask. Locust says when it begins and ends; it asks in the crowd's event loop."""

    def on_start(self) -> None:
        """Begin to ask."""
        self._stopped = threading.Event()
        self._asking = self.environment.crowd.join(self._stopped)

    @locust.task
    def ask(self) -> None:
        """It does so by itself."""
        if self._asking.done():
            self._asking.result()  # raises what ended it, which nothing should
        gevent.sleep(LOOK_S)

    def on_stop(self) -> None:
        """Wait for its last answer."""
        self._stopped.set()
        while not self._asking.done():
            gevent.sleep(POLL_S)


class Phases(locust.LoadTestShape):
    """So many users, for so many seconds, and so on."""

    def tick(self) -> tuple[int, float] | None:
        """(users, how many begin a second) now; None: the end."""
        crowd: Crowd = cast(Any, self.runner).environment.crowd
        ends = 0
        for seconds, users in crowd.campaign.phases(crowd.slo):
            ends += seconds
            if self.get_run_time() < ends:
                return users, float(users)
        return None


def _options(parser: ArgumentParser) -> None:
    parser.add_argument("--slo", required=True, help="name of a promise in the file")
    # Texts, not paths: a master sends its options to its workers.
    parser.add_argument("--slo-file", default=str(FILE))
    parser.add_argument("--data", default="", help="folder of sample data; without it, files are made")
    parser.add_argument("--out", required=True, help="JSON file of the figures")


def _prepare(environment: Any, **_: object) -> None:
    options = environment.parsed_options
    campaign = Campaign.read(Path(options.slo_file))
    (slo,) = campaign.chosen([options.slo])
    environment.crowd = crowd = Crowd(campaign, slo, options.host, Path(options.data) if options.data else None)
    environment.stop_timeout = crowd.timeout_s + 1
    out, runner = Path(options.out), environment.runner
    if not isinstance(runner, WorkerRunner):
        # `quit`, not `quitting`: only then have the workers told the last of it.
        environment.events.quit.add_listener(lambda **_: _write(crowd, out))
    if isinstance(runner, MasterRunner):
        Lead(environment, crowd, out)
        return
    gevent.spawn(_show, environment)
    learnt = crowd.learn()
    environment.events.test_start.add_listener(lambda **_: _start(crowd, learnt, out))
    if isinstance(runner, WorkerRunner):
        environment.events.report_to_master.add_listener(lambda data, **_: data.update({MESSAGE: crowd.taken()}))
        environment.events.test_stop.add_listener(lambda **_: runner.send_message(MESSAGE, crowd.taken()))
        runner.register_message(END, lambda **_: runner.stop(), concurrent=True)
    # Not one long wait: meanwhile a worker must tell its master that it lives.
    while not learnt.done():
        gevent.sleep(POLL_S)
    learnt.result()
    if isinstance(runner, WorkerRunner):
        runner.send_message(LEARNT)


def _start(crowd: Crowd, learnt: Future[None], out: Path) -> None:
    learnt.result()
    _begin(crowd, out)


def _begin(crowd: Crowd, out: Path) -> None:
    """The clock; for whoever watches the server meanwhile, a file appears at either end of what is measured."""
    crowd.start(out.with_suffix(BEGAN).touch, out.with_suffix(ENDED).touch)


class Lead:
    """What a master does: begin when all workers have learnt, add up what they count, and end when each has had its
    last word. Locust's own master begins at once, and gives them half a second; a call may take longer.
    """

    def __init__(self, environment: Any, crowd: Crowd, out: Path) -> None:
        self._environment, self._runner, self._crowd, self._out = environment, environment.runner, crowd, out
        self._learnt: set[str] = set()
        self._last: set[str] = set()
        self._begun = False
        self._runner.register_message(LEARNT, lambda msg, **_: self._learn(msg.node_id))
        self._runner.register_message(MESSAGE, self._hear)
        environment.events.worker_report.add_listener(lambda data, **_: crowd.add(data[MESSAGE]))
        environment.events.test_start.add_listener(self._start)
        environment.events.test_stop.add_listener(self._stop)

    def _learn(self, worker: str) -> None:
        self._learnt.add(worker)
        if self._begun:  # what it asks is not what was planned, nor when
            self._crowd.recorder.failed["a worker came too late: --expect-workers"] += 1

    def _hear(self, msg: Any, **_: object) -> None:
        self._crowd.add(msg.data)
        self._last.add(msg.node_id)

    def _start(self, **_: object) -> None:
        self._wait(lambda: self._alive() - self._learnt, LEARNING_S)
        self._begun = True
        _begin(self._crowd, self._out)
        self._environment.shape_class.reset_time()

    def _stop(self, **_: object) -> None:
        self._runner.send_message(END)
        self._wait(lambda: self._alive() - self._last, self._crowd.timeout_s + PATIENCE_S)
        if lost := self._learnt - self._last:
            sentence = "a worker's last word is missing: it was lost, or its callers have not ended"
            self._crowd.recorder.failed[sentence] += len(lost)

    def _wait(self, awaited: Callable[[], set[str]], seconds: float) -> None:
        until = time.monotonic() + seconds
        while awaited() and time.monotonic() < until:
            gevent.sleep(POLL_S)

    def _alive(self) -> set[str]:
        return {node.id for node in self._runner.clients.all} - {node.id for node in self._runner.clients.missing}


def _write(crowd: Crowd, file: Path) -> None:
    file.write_bytes(msgspec.json.format(msgspec.json.encode(crowd.result())))


def _show(environment: Any) -> None:
    """What ended, to Locust's own page and tables."""
    while True:
        gevent.sleep(POLL_S)
        while environment.crowd.ended:
            ended = environment.crowd.ended.popleft()
            environment.events.request.fire(
                request_type=environment.crowd.slo.protocol, name=ended.model, response_time=ended.latency_s * 1e3,
                response_length=0, exception=ended.failure, context={},
            )  # fmt: skip


locust.events.init_command_line_parser.add_listener(_options)
locust.events.init.add_listener(_prepare)
