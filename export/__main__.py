"""python -m export {models,calibrate,repository,cards}: the exporter's command line."""

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
from export.artefact import ARTEFACT, external, folder_of
from export.models import all_specs, select
from export.publish import Sources, check_not_untraining, publish, published, stale
from export.spec import ModelSpec
from report.card import Calibration, Card, cards_below

_DEFAULT = "all that fit any machine"


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit status: 0, or 1 after a message on stderr."""
    options = _parser().parse_args(arguments)
    try:
        if options.command == "repository":
            return _write_repository(options.repository, check=options.check)
        if options.command == "cards":
            return _write_cards(options)
        with _lock(options.repository):
            if options.command == "calibrate":
                return _calibrate(options)
            return _export(select(_names(options.models)), options)
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
    cards = commands.add_parser("cards", help="write a readable card of each model")
    cards.add_argument("--folder", type=Path, default=Path("docs/models"))
    cards.add_argument("--check", action="store_true", help="write nothing; fail where anything differs")
    cards.add_argument("--record", action="store_true", help="first take what was measured from the repository's cards")
    models = commands.add_parser("models", help="export what is not exported yet, behind its gate")
    # From the environment, so that make need not quote what a path may hold.
    variable = os.environ.get
    models.add_argument(
        "--models", default=variable("MODELS", ""), help=f"names, separated by commas, or all; default {_DEFAULT}"
    )
    models.add_argument("--parity", default=variable("PARITY", ""), help="folder of real pictures for the comparison")
    models.add_argument("--force", action="store_true", help="export again even if up to date")
    calibrate = commands.add_parser("calibrate", help="fit a model's temperature to labelled pictures, and export it")
    calibrate.add_argument("model")
    calibrate.add_argument("--images", type=Path, required=True, help="folder with one folder of pictures a label")
    calibrate.add_argument("--folders", default="", help="folder=label,… where they are not named alike")
    for command in (models, calibrate):
        command.add_argument(
            "--checkpoints", default=variable("CHECKPOINTS", ""), help="DIR and/or NAME=FILE, separated by commas"
        )
    for command in (text, cards, models, calibrate):
        command.add_argument("--repository", type=Path, default=Path("model_repository"))
    return parser


def _names(text: str) -> list[str]:
    names = [name.strip() for name in text.split(",") if name.strip()]
    if names == ["all"]:
        return list(all_specs())
    return list(dict.fromkeys(names)) or [spec.name for spec in all_specs().values() if not spec.on_request]


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
    return Sources(folder, explicit)


def _write_repository(folder: Path, *, check: bool) -> int:
    differing = repository.differing(list(all_specs().values()), folder)
    if check:
        for path in differing:
            print(f"{folder / path}: not what the specs generate. Run `python -m export repository`.", file=sys.stderr)
        return 1 if differing else 0
    for path in repository.write(list(all_specs().values()), folder):
        print(f"wrote {folder / path}")
    return 0


def _write_cards(options: argparse.Namespace) -> int:
    from export import card, model_card

    folder: Path = options.folder
    if not options.check:
        folder.mkdir(parents=True, exist_ok=True)
    if options.record:
        (folder / model_card.MEASURED).write_bytes(model_card.measured(cards_below(options.repository)))
    wanted = model_card.texts({spec.name: card.declaration(spec) for spec in all_specs().values()}, folder)
    found = {path.name: path.read_text("utf-8") for path in folder.glob("*.md")}
    differing = sorted(name for name in wanted.keys() | found.keys() if wanted.get(name) != found.get(name))
    for name in differing:
        if options.check:
            print(f"{folder / name}: not what the specs generate. Run `python -m export cards`.", file=sys.stderr)
        elif name in wanted:
            (folder / name).write_text(wanted[name], "utf-8")
        else:
            (folder / name).unlink()
    return 1 if options.check and differing else 0


def _export(specs: Sequence[ModelSpec], options: argparse.Namespace) -> int:
    folder, sources = options.repository, _sources(options)
    parity = Path(options.parity).expanduser() if options.parity else None
    repository.write(list(all_specs().values()), folder)
    if parity is not None and not parity.is_dir():
        raise ValueError(f"PARITY: expected a folder, found none at {parity}")
    waiting = []
    for spec in specs:
        checkpoint, card = _checkpoint(spec, sources), published(spec, folder)
        asked = "asked for" if options.force else "comparison asked for" if parity else ""
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
            progress.console.print(_line(spec, folder, checkpoint, parity), highlight=False, soft_wrap=True)
            progress.advance(task)
    return 0


def _calibrate(options: argparse.Namespace) -> int:
    from export.calibrate import calibrate

    (spec,) = select([options.model])
    pairs = [part.partition("=") for part in filter(None, map(str.strip, options.folders.split(",")))]
    if wrong := [folder for folder, equals, label in pairs if not equals or not label]:
        raise ValueError(f"--folders: expected folder=label, got {', '.join(wrong)}")
    checkpoint = _checkpoint(spec, _sources(options))
    calibration = calibrate(spec, checkpoint, options.images, {folder: label for folder, _, label in pairs})
    print(_line(spec, options.repository, checkpoint, None, calibration))
    fit = calibration.fit
    if fit is not None:
        print(
            f"temperature {calibration.temperature:.4f} from {fit.images} pictures; NLL {fit.nll_before:.4f} → "
            f"{fit.nll_after:.4f}, ECE {fit.ece_before:.4f} → {fit.ece_after:.4f} ({fit.measured})"
        )
    return 0


def _checkpoint(spec: ModelSpec, sources: Sources) -> Path | None:
    if sources.checkpoints is None and not sources.explicit:
        return None
    from export.checkpoints import find  # imports torch

    return find(spec, sources.checkpoints, sources.explicit)


def _line(
    spec: ModelSpec, folder: Path, checkpoint: Path | None, parity: Path | None, fitted: Calibration | None = None
) -> str:
    before = published(spec, folder)
    card = publish(spec, folder, checkpoint, parity, fitted)
    dropped = before is not None and before.calibration.fit is not None and card.calibration.fit is None
    artefact, file = card.artefacts[ARTEFACT], folder_of(spec, folder) / ARTEFACT
    size = sum(part.stat().st_size for part in (file, external(file)) if part.is_file())
    error = max(artefact.parity["max_abs_error"].values())
    return (
        f"exported {spec.name}: {_origin(card)}, {size / 1e6:.1f} MB, "
        f"max|Δ| {error:.1e} on {artefact.parity['samples']} samples, {artefact.parity['source']}"
        + (f", temperature {card.calibration.temperature:.4f}" if card.calibration.fit else "")
        + (", CALIBRATION DROPPED: it was fitted to other weights" if dropped else "")
    )


def _origin(card: Card) -> str:
    if not card.weights.trained:
        return "weights: UNTRAINED"
    return f"{'shipped weights' if card.weights.shipped else 'checkpoint'} {card.weights.checkpoint}"


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
