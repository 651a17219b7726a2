"""Export what is not exported yet, behind its gate."""

from __future__ import annotations

import os
import sys
from argparse import ArgumentParser, Namespace
from dataclasses import replace
from pathlib import Path
from typing import IO

from export import repository
from export.artefact import PRECISIONS, folder_of
from export.commands.lines import origin, tune_line
from export.commands.options import (
    add_checkpoints,
    add_folders,
    add_models,
    add_pictures,
    checkpoint_of,
    chosen,
    pictures_of,
    variable,
)
from export.commands.progress import Progress
from export.commands.side_by_side import Job, all_exported
from export.models import all_specs, select
from export.publish import Order, check_not_untraining, outdated, published, unattempted, would_untrain
from export.sources import folder_labels, sources
from export.spec import ModelSpec
from server.machine import cpu_features
from server.publisher import Event, Failed, Planned, Published, encoded


def add(parser: ArgumentParser) -> None:
    """Its options."""
    add_models(parser)
    add_checkpoints(parser)
    add_pictures(parser)
    add_folders(parser)
    parser.add_argument(
        "--publish-anyway",
        default="",
        metavar="REASON",
        help="publish what the gate refuses, and INT8 of generated pictures; the reason goes with every answer",
    )
    parser.add_argument("--force", action="store_true", help="export again even if up to date")
    parser.add_argument(
        "--report", default=variable("REPORT", ""), help="folder for the gate's reports: plots, and pictures compared"
    )
    parser.add_argument(
        "--precisions",
        default=",".join(PRECISIONS),
        help="those to export, separated by commas; fp32 always. What is left out can follow later",
    )
    parser.add_argument("--processes", type=int, default=1, help="how many models to export at the same time")
    parser.add_argument("--events", action="store_true", help="print events for the launcher: see server.publisher")
    parser.add_argument("--no-tune", action="store_true", help="leave the choice for this CPU to `tune`")


def run(options: Namespace) -> int:
    """Export what is stale, and choose for this CPU what has no choice."""
    if options.events:
        return _run(options, _separate_stdout())
    return _run(options, None)


def _run(options: Namespace, events: IO[str] | None) -> int:
    folder = options.repository
    checkpoints, pictures = sources("CHECKPOINTS", options.checkpoints), sources("PICTURES", options.pictures)
    if pictures.folder and not options.models:
        raise ValueError("PICTURES: expected NAME=DIR,… or MODELS=… beside it: films are no test of a skin model")
    labels = folder_labels(options.folders)
    precisions = _precisions(options.precisions)
    tune = not options.no_tune and set(precisions) == set(PRECISIONS)
    specs = chosen(options.models)
    given = {spec.name: pictures_of(spec, pictures, labels) for spec in specs}
    if labels:
        from export.pictures import check_folders  # imports more than a start with nothing to export needs

        check_folders(specs, filter(None, given.values()))
    repository.write(list(all_specs().values()), folder)
    jobs: list[Job] = []
    untuned: list[ModelSpec] = []
    for spec in sorted(specs, key=_rank):
        order = Order(
            checkpoint=checkpoint_of(spec, checkpoints),
            pictures=given[spec.name],
            anyway=options.publish_anyway,
            report=Path(options.report) if options.report else None,
            precisions=precisions,
        )
        asked = bool(options.force or order.report or options.publish_anyway)
        if job := _job(spec, folder, order, asked=asked):
            jobs.append(job)
            continue
        card = published(spec, folder)
        if card is None:
            continue
        choice = card.choice
        if choice is not None and choice.cpu != cpu_features():
            choice = None  # it was made for another CPU; what serves anywhere serves until there is one for this
            replace(card, choice=None).write(folder_of(spec, folder))
        repository.write_choice(spec, folder, choice)  # as this version of MedServe writes it
        if tune and choice is None:
            untuned.append(spec)
    if events:
        _tell(events, Planned(tuple(job.model for job in jobs)))
    failed = _export(jobs, folder, options.processes, events, tune=tune)
    for spec in untuned:
        _say(f"{spec.name}: no choice for this CPU\n{tune_line(spec, folder)}")
    return 1 if failed else 0


def _precisions(text: str) -> tuple[str, ...]:
    """FP32 and those that --precisions names, in their usual order."""
    named = {name.strip() for name in text.split(",") if name.strip()}
    if unknown := sorted(named - set(PRECISIONS)):
        raise ValueError(f"--precisions: expected some of {', '.join(PRECISIONS)}, got {', '.join(unknown)}")
    return tuple(precision for precision in PRECISIONS if precision == "fp32" or precision in named)


def _rank(spec: ModelSpec) -> tuple[bool, int]:
    """Those whose weights are shipped first, then the smallest: something answers soon."""
    return spec.shipped is None, spec.parameters


def _job(spec: ModelSpec, folder: Path, order: Order, *, asked: bool) -> Job | None:
    """What is to be done for a model; None, after a line, where it is up to date."""
    reason = "asked for" if asked else outdated(spec, folder, order)
    if not reason:
        lacking = unattempted(spec, folder, order)
        if lacking and not would_untrain(spec, folder, order.checkpoint):
            order, reason = replace(order, keep_fp32=True), f"not exported in {', '.join(lacking)}"
    if reason:
        check_not_untraining(spec, folder, order.checkpoint, reason)
        return Job(model=spec.name, order=order, reason=reason)
    card = published(spec, folder)
    more = f"; {', '.join(lacking)}: say CHECKPOINTS=… to export them too" if lacking else ""
    print(f"up to date {spec.name}: {origin(card) if card else ''}{more}", flush=True)
    return None


def _export(jobs: list[Job], folder: Path, processes: int, events: IO[str] | None, *, tune: bool) -> bool:
    """Work the jobs off, and report each; whether one failed."""
    if not jobs:
        return False
    processes = max(1, min(processes, len(jobs)))
    progress, failed = Progress(len(jobs), processes), False
    _say(f"{progress.beginning()}: " + ", ".join(f"{job.model} ({job.reason})" for job in jobs))
    for outcome in all_exported(jobs, folder, processes):
        if outcome.failure:
            failed = True
            _say(f"{outcome.model}: not exported: {outcome.failure}")
        else:
            (spec,) = select([outcome.model])
            print(outcome.lines, *([tune_line(spec, folder)] if tune else []), sep="\n", file=sys.stderr, flush=True)
        if events:
            _tell(events, Failed(outcome.model, outcome.failure) if outcome.failure else Published(outcome.model))
        _say(progress.one_done())
    return failed


def _separate_stdout() -> IO[str]:
    """Keep standard output for events: what else is printed there goes to standard error."""
    events = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    return events


def _tell(events: IO[str], event: Event) -> None:
    events.write(encoded(event))
    events.flush()


def _say(sentence: str) -> None:
    print(f"export: {sentence}", file=sys.stderr, flush=True)
