"""python -m export COMMAND: the exporter's command line."""

from __future__ import annotations

import argparse
import fcntl
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path

from export.commands import calibrate, cards, engines, mobile, models, packages, repository, tune
from export.commands.options import add_repository
from export.commands.side_by_side import interrupt

COMMANDS = {
    "models": models,
    "calibrate": calibrate,
    "tune": tune,
    "engines": engines,
    "mobile": mobile,
    "repository": repository,
    "cards": cards,
    "packages": packages,
}
_WRITES_TEXT_ALONE = ("repository", "cards", "packages")


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit status: 0, or 1 after a message on stderr."""
    options = _parser().parse_args(arguments)
    alone = nullcontext() if options.command in _WRITES_TEXT_ALONE else _lock(_written(options))
    try:
        with alone:
            return COMMANDS[options.command].run(options)
    except (ValueError, OSError) as exc:  # all of ours are ValueErrors with a whole sentence
        print(f"export: {exc}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:  # or SIGTERM: nothing is published by halves
        print("export: interrupted", file=sys.stderr)
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m export", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    for name, command in COMMANDS.items():
        own = commands.add_parser(name, help=command.__doc__)
        command.add(own)
        add_repository(own)
    return parser


def _written(options: argparse.Namespace) -> Path:
    """The folder that the command writes to: a repository that plans are built from may be mounted read-only."""
    folder: Path = getattr(options, "into", None) or options.repository
    return folder


@contextmanager
def _lock(folder: Path) -> Iterator[None]:
    """One exporter at a time: two `make serve` in one checkout wait for each other, and two pods build plans once."""
    folder.mkdir(parents=True, exist_ok=True)
    handle = os.open(folder / ".lock", os.O_CREAT | os.O_RDWR, 0o644)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, interrupt)
    sys.exit(main())
