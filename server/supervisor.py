"""Keeps one Triton serving: starts it, loads models as they are published, and starts it again when it dies."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from server.choices import on_gpu
from server.health import Health, State
from server.installation import Installation, lay_out_backends
from server.leftovers import clean_up
from server.preflight import PreflightError
from server.publisher import Ended, Event, Events, Failed, NoEvents, Published
from server.quiet import wait_until_quiet
from server.repository import Repository, compile_steps, lay_out_models
from server.triton import DRAIN_TIMEOUT_S, POLL_S, Address, LoadError, Triton, TritonError

MAX_DEATHS, DEATH_WINDOW_S = 3, 120.0
CACHE = "compiled"  # below the runtime folder; a folder for each artefact, named by its sha256
SHORT_DRAIN_S = 5.0  # for a Triton that waits in vain: with a dead worker it never finds itself idle


class Stop(Exception):
    """The user, or the machine, asked us to end."""


class Server(Protocol):
    """What is kept serving: see Triton."""

    def load(self, models: Sequence[str]) -> None: ...

    def trouble(self) -> str: ...

    def metrics(self) -> str: ...

    def drain(self, timeout_s: float) -> None: ...

    def kill(self) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What to serve, where, and under which name.

    Args:
        read: returns the repository with the configs that are served; called before each start and each late load.
        models: the ensembles that are requested.
        runtime: folder for this run's own files.
        tag: of this run, in the names of all that it creates.
        verify: raises PreflightError if an artefact of one of these models is not its manifest's; called before each
            start, the first and any after a death, and before each late load.
        drain_delay_s: for which calls are answered after probes were told that no more should come: as long as
            balancers take to notice. After it they are until none is under way, and for DRAIN_TIMEOUT_S at most.
    """

    triton: Installation
    read: Callable[[], Repository]
    models: Sequence[str]
    address: Address
    runtime: Path
    tag: str
    verify: Callable[[Repository, Sequence[str]], object]
    verbose: bool
    drain_delay_s: float = 0.0

    @property
    def folder(self) -> Path:
        """Where this run's own files are."""
        return self.runtime / self.tag


class Announce(Protocol):
    """Prints what a user can do now."""

    def model(self, repository: Repository, name: str) -> None:
        """This model is READY for the first time."""

    def ready(self) -> None:
        """Every requested model is READY for the first time."""


@dataclass(slots=True, kw_only=True)
class Progress:
    """Which of the requested models are not served yet.

    Args:
        expected: those that are still being published, in this order.
        failed: those that will not be served, each with the reason.
    """

    expected: list[str]
    failed: dict[str, str] = field(default_factory=dict)

    @property
    def unpublished(self) -> list[str]:
        return [*self.expected, *self.failed]

    @property
    def missing(self) -> dict[str, str]:
        """As /ready reports it."""
        return dict.fromkeys(self.expected, "being exported") | self.failed

    def fail(self, model: str, reason: str) -> None:
        """Give this model up."""
        if model in self.expected:
            self.expected.remove(model)
        self.failed[model] = reason


def serve(
    plan: Plan,
    health: Health,
    announce: Announce,
    expected: Sequence[str] = (),
    events: Events | None = None,
    *,
    start: Callable[[Plan, Collection[str]], Server] | None = None,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Serve until Stop is raised, then drain.

    Args:
        plan: see Plan.
        health: records what happens, for probes.
        announce: see Announce.
        expected: the models of the plan that are not published yet; they are loaded as `events` reports them.
        events: see Events.
        start: starts a server of the plan without these models, and returns when its models are READY.
        clock, sleep: see `wait_until_quiet`.

    Raises:
        TritonError: it did not become ready, or died MAX_DEATHS times within DEATH_WINDOW_S.
    """
    events = events or NoEvents()
    supervisor = _Supervisor(plan, health, announce, Progress(expected=list(expected)), start or _start, clock)
    supervisor.start()
    try:
        while True:
            event = events.next(POLL_S)
            supervisor.replace_if_dead()
            if event is not None:
                supervisor.handle(event)
    except Stop:
        health.state = State.DRAINING
        _say(
            "draining"
            + f", after {plan.drain_delay_s:g} s in which callers may go elsewhere" * bool(plan.drain_delay_s)
        )
        try:
            events.close()
            _drain(supervisor.server, plan.drain_delay_s, clock, sleep)
        except Stop:  # asked a second time: at once
            supervisor.server.kill()
    finally:
        supervisor.server.kill()


class _Supervisor:
    """One server at a time, and what of the plan it serves."""

    server: Server

    def __init__(
        self,
        plan: Plan,
        health: Health,
        announce: Announce,
        progress: Progress,
        start: Callable[[Plan, Collection[str]], Server],
        clock: Callable[[], float],
    ) -> None:
        self._plan, self._health, self._announce, self._progress = plan, health, announce, progress
        self._start, self._clock = start, clock
        self._announced: set[str] = set()
        self._complete = False
        self._deaths: list[float] = []

    def start(self) -> None:
        """Start the server with all that is published."""
        self._health.missing = self._progress.missing
        self.server = self._start(self._plan, self._progress.unpublished)
        self._health.state = State.SERVING
        self._announce_new()

    def replace_if_dead(self) -> None:
        """Start another server, with all that was published so far, in the place of one that has died.

        Raises:
            TritonError: too many have.
        """
        trouble = self.server.trouble()
        if not trouble:
            return
        self._health.state = State.RESTARTING
        _say(trouble)
        now = self._clock()
        self._deaths = [moment for moment in self._deaths if now - moment < DEATH_WINDOW_S] + [now]
        if len(self._deaths) >= MAX_DEATHS:
            raise TritonError(f"died {MAX_DEATHS} times within {DEATH_WINDOW_S:.0f} s; see the log above")
        self.server.drain(SHORT_DRAIN_S)
        clean_up(self._plan.runtime, self._plan.tag)
        _say("starting again")
        self.start()
        self._health.restarts += 1
        _say("every model is READY again" + ", but those that are missing" * bool(self._progress.unpublished))

    def handle(self, event: Event) -> None:
        """Load what was published; record what will not be."""
        progress = self._progress
        match event:
            case Published(model) if model in progress.expected:
                self._load(model)
            case Failed(model, reason) if model in progress.expected:
                progress.fail(model, f"export failed: {reason}")
            case Ended(status):
                for model in list(progress.expected):
                    progress.fail(model, f"the export ended with status {status} before it")
            case _:
                return
        self._health.missing = progress.missing
        if progress.failed and not progress.expected:
            listed = "; ".join(f"{model}: {reason}" for model, reason in progress.failed.items())
            _say(f"not every model is served. {listed}. The others answer. The next start tries these again.")

    def _load(self, model: str) -> None:
        """Load one more model into the server that runs."""
        plan, progress = self._plan, self._progress
        repository = plan.read()
        before = set(repository.available(plan.models, progress.unpublished))
        after = repository.available(plan.models, [name for name in progress.unpublished if name != model])
        added = [name for name in reversed(after) if name not in before]  # networks before the ensemble that calls them
        try:
            plan.verify(repository, added)
            lay_out_models(repository, added, plan.folder / "models")
            self.server.load(added)
        except (PreflightError, LoadError) as exc:
            if not self.server.trouble():
                _say(f"{model}: not loaded: {exc}")
                progress.fail(model, f"not loaded: {exc}")
                for name in added:
                    shutil.rmtree(plan.folder / "models" / name, ignore_errors=True)
                return
            progress.expected.remove(model)  # the server died: the next one loads it
            return
        progress.expected.remove(model)
        _say(f"ready: {model}")
        self._announce_new()

    def _announce_new(self) -> None:
        unpublished = self._progress.unpublished
        repository = self._plan.read()
        for model in self._plan.models:
            if model not in unpublished and model not in self._announced:
                self._announce.model(repository, model)
                self._announced.add(model)
        if not unpublished and not self._complete:
            self._complete = True
            self._announce.ready()


def _drain(triton: Server, delay_s: float, clock: Callable[[], float], sleep: Callable[[float], None]) -> None:
    began = clock()
    latest = began + delay_s + DRAIN_TIMEOUT_S
    quiet = wait_until_quiet(triton.metrics, earliest=began + delay_s, latest=latest, clock=clock, sleep=sleep)
    _say("nothing is under way" if quiet else f"calls are still under way after {clock() - began:.0f} s")
    triton.drain(max(SHORT_DRAIN_S, latest - clock()))


def _start(plan: Plan, unpublished: Collection[str]) -> Triton:
    repository = plan.read()
    needed = repository.available(plan.models, unpublished)
    plan.verify(repository, needed)
    lay_out_models(repository, needed, plan.folder / "models")
    compile_steps(plan.folder / "models")
    gpu = any(on_gpu(repository.configs[name]) for name in needed)
    lay_out_backends(plan.triton, plan.folder / "backends", on_gpu=gpu)
    cache = plan.runtime / CACHE
    cache.mkdir(parents=True, exist_ok=True)
    triton = Triton(
        plan.triton,
        plan.folder / "models",
        plan.folder / "backends",
        cache,
        plan.tag,
        plan.address,
        profile=repository.profile,
        loads=needed if unpublished else None,
        verbose=plan.verbose,
    )
    try:
        triton.wait_until_ready(needed, lambda model: _say(f"ready: {model}"))
    except BaseException:
        triton.kill()
        raise
    return triton


def _say(sentence: str) -> None:
    print(f"serve: {sentence}", file=sys.stderr, flush=True)
