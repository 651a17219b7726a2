"""The load generator, for Locust. `make load` runs it; a cluster's load machines run it by themselves:

    LOCUST_SKIP_MONKEY_PATCH=1 locust -f benchmarks/locustfile.py --host grpc://server:8001 --slo mixed --headless \
        --out run.json --master
    … the same with --worker --master-host … on each further machine.
"""

from __future__ import annotations

import os
import threading
import time
from argparse import ArgumentParser
from pathlib import Path
from typing import Any, cast

import gevent.monkey
import locust
import msgspec
from locust.runners import MasterRunner, WorkerRunner

from benchmarks.load.crowd import Crowd
from benchmarks.load.slo import FILE, Campaign

MESSAGE = "medserve"  # what a worker tells the master, beside Locust's own figures
END = "medserve-end"  # what the master tells its workers
POLL_S = 0.1
PATIENCE_S = 10.0  # beyond the time that a call may take

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
        gevent.sleep(POLL_S)

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
    if not isinstance(environment.runner, WorkerRunner):
        # `quit`, not `quitting`: only then have the workers told the last of it.
        environment.events.quit.add_listener(lambda **_: _write(crowd, Path(options.out)))
    if isinstance(environment.runner, MasterRunner):
        _lead(environment, crowd)
        return
    crowd.learn()
    gevent.spawn(_show, environment)
    if isinstance(environment.runner, WorkerRunner):
        environment.events.report_to_master.add_listener(lambda data, **_: data.update({MESSAGE: crowd.taken()}))
        environment.events.test_stop.add_listener(lambda **_: environment.runner.send_message(MESSAGE, crowd.taken()))
        environment.runner.register_message(END, lambda **_: environment.runner.stop(), concurrent=True)


def _lead(environment: Any, crowd: Crowd) -> None:
    """Adds up what the workers count. Locust's master gives them half a second at the end, and a call may take longer:
    this one waits for each worker's last word."""
    last: set[str] = set()

    def hear(msg: Any, **_: object) -> None:
        crowd.add(msg.data)
        last.add(msg.node_id)

    def end(**_: object) -> None:
        environment.runner.send_message(END)
        until = time.monotonic() + crowd.timeout_s + PATIENCE_S
        while (awaited := _alive(environment.runner) - last) and time.monotonic() < until:
            gevent.sleep(POLL_S)
        if lost := awaited | {node.id for node in environment.runner.clients.missing}:
            crowd.recorder.failed["a worker's last word is missing: it was lost, or its callers have not ended"] += len(
                lost
            )

    environment.events.worker_report.add_listener(lambda data, **_: crowd.add(data[MESSAGE]))
    environment.runner.register_message(MESSAGE, hear)
    environment.events.test_stop.add_listener(end)


def _alive(master: MasterRunner) -> set[str]:
    return {node.id for node in master.clients.all} - {node.id for node in master.clients.missing}


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


def _start(environment: Any, **_: object) -> None:
    environment.crowd.start()


locust.events.init_command_line_parser.add_listener(_options)
locust.events.init.add_listener(_prepare)
locust.events.test_start.add_listener(_start)
