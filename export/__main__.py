"""python -m export {models,repository}: the exporter's command line."""

from __future__ import annotations

import argparse
import fcntl
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from export import repository
from export.models import all_specs, select
from export.publish import Sources, check_not_untraining, publish, published, stale
from export.spec import ModelSpec
from report.card import Card


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit status: 0, or 1 after a message on stderr."""
    options = _parser().parse_args(arguments)
    try:
        if options.command == "repository":
            return _write_repository(options.repository, check=options.check)
        with _lock(options.repository):
            return _export(select(_names(options.models)), options.repository, _sources(options), options.force)
    except (ValueError, OSError) as exc:  # all of ours are ValueErrors with a whole sentence
        print(f"export: {exc}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:  # nothing is published by halves
        print("export: interrupted", file=sys.stderr)
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m export", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    text = commands.add_parser("repository", help="write configs, labels and adapters from the specs")
    text.add_argument("--check", action="store_true", help="write nothing; fail where anything differs")
    models = commands.add_parser("models", help="export what is not exported yet, behind its gate")
    # From the environment, so that make need not quote what a path may hold.
    variable = os.environ.get
    models.add_argument("--models", default=variable("MODELS", ""), help="names, separated by commas; default all")
    models.add_argument(
        "--checkpoints", default=variable("CHECKPOINTS", ""), help="DIR and/or NAME=FILE, separated by commas"
    )
    models.add_argument("--parity", default=variable("PARITY", ""), help="folder of real pictures for the comparison")
    models.add_argument("--force", action="store_true", help="export again even if up to date")
    for command in (text, models):
        command.add_argument("--repository", type=Path, default=Path("model_repository"))
    return parser


def _names(text: str) -> list[str]:
    names = [name.strip() for name in text.split(",") if name.strip()]
    return [] if names == ["all"] else list(dict.fromkeys(names))


def _sources(options: argparse.Namespace) -> Sources:
    folder, explicit = None, {}
    for part in filter(None, map(str.strip, options.checkpoints.split(","))):
        name, equals, path = part.partition("=")
        if equals and name in all_specs():
            explicit[name] = Path(path).expanduser()
        elif equals:
            raise ValueError(f"CHECKPOINTS: expected NAME=FILE with a name of {', '.join(all_specs())}; got {part}")
        elif folder is None:
            folder = Path(part).expanduser()
        else:
            raise ValueError(
                f"CHECKPOINTS: expected one folder and NAME=FILE of {', '.join(all_specs())}; got also {part}"
            )
    return Sources(folder, explicit, Path(options.parity).expanduser() if options.parity else None)


def _write_repository(folder: Path, *, check: bool) -> int:
    differing = repository.differing(list(all_specs().values()), folder)
    if check:
        for path in differing:
            print(f"{folder / path}: not what the specs generate. Run `python -m export repository`.", file=sys.stderr)
        return 1 if differing else 0
    for path in repository.write(list(all_specs().values()), folder):
        print(f"wrote {folder / path}")
    return 0


def _export(specs: Sequence[ModelSpec], folder: Path, sources: Sources, force: bool) -> int:
    repository.write(list(all_specs().values()), folder)
    if sources.parity is not None and not sources.parity.is_dir():
        raise ValueError(f"PARITY: expected a folder, found none at {sources.parity}")
    waiting = []
    for spec in specs:
        checkpoint, card = _checkpoint(spec, sources), published(spec, folder)
        asked = "asked for" if force else "comparison asked for" if sources.parity else ""
        if reason := asked or stale(spec, folder, checkpoint):
            check_not_untraining(spec, folder, checkpoint, reason)
            waiting.append((spec, checkpoint, reason))
        elif card is not None:
            print(f"up to date {spec.name}: {_origin(card)}")
    if not waiting:
        return 0
    columns = (SpinnerColumn(), TextColumn("{task.description:<32}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("", total=len(waiting))
        for spec, checkpoint, reason in waiting:
            progress.update(task, description=f"{spec.name}: {reason}")
            progress.console.print(_line(spec, folder, checkpoint, sources.parity), highlight=False, soft_wrap=True)
            progress.advance(task)
    return 0


def _checkpoint(spec: ModelSpec, sources: Sources) -> Path | None:
    if sources.checkpoints is None and not sources.explicit:
        return None
    from export.checkpoints import find  # imports torch

    return find(spec, sources.checkpoints, sources.explicit)


def _line(spec: ModelSpec, folder: Path, checkpoint: Path | None, parity: Path | None) -> str:
    card = publish(spec, folder, checkpoint, parity)
    artefact = card.artefacts[repository.ARTEFACT]
    error = max(artefact.parity["max_abs_error"].values())
    return (
        f"exported {spec.name}: {_origin(card)}, {artefact.size_bytes / 1e6:.1f} MB, "
        f"max|Δ| {error:.1e} on {artefact.parity['samples']} samples, {artefact.parity['source']}"
    )


def _origin(card: Card) -> str:
    return f"checkpoint {card.weights.checkpoint}" if card.weights.trained else "weights: UNTRAINED"


@contextmanager
def _lock(folder: Path) -> Iterator[None]:
    """One exporter at a time: two `make serve` in one checkout wait for each other."""
    folder.mkdir(parents=True, exist_ok=True)
    handle = os.open(folder / ".lock", os.O_CREAT | os.O_RDWR, 0o644)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


if __name__ == "__main__":
    sys.exit(main())
