"""Keeps one Triton serving: starts it, and starts it again when it or a worker of it dies."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from server.choices import on_gpu
from server.health import Health, State
from server.installation import Installation, lay_out_backends
from server.leftovers import clean_up
from server.quiet import wait_until_quiet
from server.repository import Repository, lay_out_models
from server.triton import DRAIN_TIMEOUT_S, Address, Triton, TritonError

MAX_DEATHS, DEATH_WINDOW_S = 3, 120.0
CACHE = "compiled"  # below the runtime folder; a folder for each artefact, named by its sha256
SHORT_DRAIN_S = 5.0  # for a Triton that waits in vain: with a dead worker it never finds itself idle


class Stop(Exception):
    """The user, or the machine, asked us to end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What to serve, where, and under which name.

    Args:
        needed: every model to load, ensembles and their steps.
        runtime: folder for this run's own files.
        tag: of this run, in the names of all that it creates.
        verify: raises if an artefact is not its card's; called before each start, the first and any after a death.
        drain_delay_s: for which calls are answered after probes were told that no more should come: as long as
            balancers take to notice. After it they are until none is under way, and for DRAIN_TIMEOUT_S at most.
    """

    triton: Installation
    repository: Repository
    needed: Sequence[str]
    address: Address
    runtime: Path
    tag: str
    verify: Callable[[], object]
    verbose: bool
    drain_delay_s: float = 0.0


def serve(
    plan: Plan,
    health: Health,
    when_ready: Callable[[], None],
    *,
    start: Callable[[Plan], Triton] = lambda plan: _start(plan),
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Serve until Stop is raised, then drain.

    Args:
        plan: see Plan.
        health: is told what happens.
        when_ready: called once, when every model is READY for the first time.
        start: returns a Triton that is ready; called after each `plan.verify`.
        clock, sleep: see `wait_until_quiet`.

    Raises:
        TritonError: it did not become ready, or died MAX_DEATHS times within DEATH_WINDOW_S.
    """
    deaths: list[float] = []
    plan.verify()
    triton = start(plan)
    try:
        health.state = State.SERVING
        when_ready()
        while True:
            trouble = triton.wait_for_trouble()
            health.state = State.RESTARTING
            _say(trouble)
            now = clock()
            deaths = [moment for moment in deaths if now - moment < DEATH_WINDOW_S] + [now]
            if len(deaths) >= MAX_DEATHS:
                raise TritonError(f"died {MAX_DEATHS} times within {DEATH_WINDOW_S:.0f} s; see the log above")
            triton.drain(SHORT_DRAIN_S)
            clean_up(plan.runtime, plan.tag)
            _say("starting again")
            plan.verify()
            triton = start(plan)
            health.restarts += 1
            health.state = State.SERVING
            _say("every model is READY again")
    except Stop:
        health.state = State.DRAINING
        _say(
            "draining"
            + f", after {plan.drain_delay_s:g} s in which callers may go elsewhere" * bool(plan.drain_delay_s)
        )
        try:
            _drain(triton, plan.drain_delay_s, clock, sleep)
        except Stop:  # asked a second time: at once
            triton.kill()
    finally:
        triton.kill()


def _drain(triton: Triton, delay_s: float, clock: Callable[[], float], sleep: Callable[[float], None]) -> None:
    began = clock()
    latest = began + delay_s + DRAIN_TIMEOUT_S
    quiet = wait_until_quiet(triton.metrics, earliest=began + delay_s, latest=latest, clock=clock, sleep=sleep)
    _say("nothing is under way" if quiet else f"calls are still under way after {clock() - began:.0f} s")
    triton.drain(max(SHORT_DRAIN_S, latest - clock()))


def _start(plan: Plan) -> Triton:
    folder = plan.runtime / plan.tag
    lay_out_models(plan.repository, plan.needed, folder / "models")
    gpu = any(on_gpu(plan.repository.configs[name]) for name in plan.needed)
    lay_out_backends(plan.triton, folder / "backends", on_gpu=gpu)
    cache = plan.runtime / CACHE
    cache.mkdir(parents=True, exist_ok=True)
    triton = Triton(
        plan.triton,
        folder / "models",
        folder / "backends",
        cache,
        plan.tag,
        plan.address,
        profile=plan.repository.profile,
        verbose=plan.verbose,
    )
    try:
        triton.wait_until_ready(plan.needed, lambda model: _say(f"ready: {model}"))
    except BaseException:
        triton.kill()
        raise
    return triton


def _say(sentence: str) -> None:
    print(f"serve: {sentence}", file=sys.stderr, flush=True)
