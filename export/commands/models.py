"""Export what is not exported yet, behind its gate."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from export import repository
from export.commands.lines import export_line, origin, tune_line
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
from export.models import all_specs
from export.publish import Order, check_not_untraining, published, stale
from export.sources import folder_labels, sources
from export.spec import ModelSpec
from server.machine import cpu_features


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
    parser.add_argument("--no-tune", action="store_true", help="leave the choice for this CPU to `tune`")


def run(options: Namespace) -> int:
    """Export what is stale, and choose for this CPU what has no choice."""
    folder = options.repository
    checkpoints, pictures = sources("CHECKPOINTS", options.checkpoints), sources("PICTURES", options.pictures)
    if pictures.folder and not options.models:
        raise ValueError("PICTURES: expected NAME=DIR,… or MODELS=… beside it: films are no test of a skin model")
    labels = folder_labels(options.folders)
    specs = chosen(options.models)
    given = {spec.name: pictures_of(spec, pictures, labels) for spec in specs}
    if labels:
        from export.pictures import check_folders  # imports more than a start with nothing to export needs

        check_folders(specs, filter(None, given.values()))
    repository.write(list(all_specs().values()), folder)
    waiting: list[tuple[ModelSpec, Order | None, str]] = []
    for spec in specs:
        checkpoint, card = checkpoint_of(spec, checkpoints), published(spec, folder)
        report = Path(options.report) if options.report else None
        order = Order(
            checkpoint=checkpoint,
            pictures=given[spec.name],
            anyway=options.publish_anyway,
            report=report,
        )
        asked = options.force or report or options.publish_anyway
        if reason := "asked for" if asked else stale(spec, folder, order):
            check_not_untraining(spec, folder, checkpoint, reason)
            waiting.append((spec, order, reason))
        elif card is not None:
            print(f"up to date {spec.name}: {origin(card)}")
            repository.write_choice(spec, folder, card.choice)  # as this version of MedServe writes it
            if not options.no_tune and (card.choice is None or card.choice.cpu != cpu_features()):
                waiting.append((spec, None, "no choice for this CPU"))
    if waiting:
        _work_off(waiting, folder, tune=not options.no_tune)
    return 0


def _work_off(waiting: Sequence[tuple[ModelSpec, Order | None, str]], folder: Path, *, tune: bool) -> None:
    columns = (SpinnerColumn(), TextColumn("{task.description:<32}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("", total=len(waiting))
        for spec, due, reason in waiting:
            progress.update(task, description=f"{spec.name}: {reason}")
            lines = [export_line(spec, folder, due)] if due else []
            lines += [tune_line(spec, folder)] if tune else []
            progress.console.print("\n".join(lines), highlight=False, soft_wrap=True)
            progress.advance(task)
