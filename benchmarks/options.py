"""What every benchmark's command line has: how often, on which files, for which models; and a clean end."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path


def positive(text: str) -> int:
    """A number of runs: none would be a benchmark that passes because it measured nothing."""
    if not text.isdigit() or not int(text):
        raise argparse.ArgumentTypeError(f"expected a whole number above 0, got {text!r}")
    return int(text)


def folder(text: str) -> Path | None:
    """Of sample data; "": none. A misspelt one must not become made files."""
    if text and not Path(text).is_dir():
        raise argparse.ArgumentTypeError(f"expected a folder of sample data, found none at {text}")
    return Path(text) if text else None


def add_data(parser: argparse.ArgumentParser) -> None:
    """--data, or DATA."""
    parser.add_argument(
        "--data",
        type=folder,
        default=os.environ.get("DATA", ""),
        help="folder of sample data; without it files are made",
    )


def add_runs(parser: argparse.ArgumentParser, name: str, default: str | None, what: str) -> None:
    """--runs or --rounds, or RUNS."""
    parser.add_argument(name, type=positive, default=os.environ.get("RUNS") or default, help=what)


def named(text: str, known: Sequence[str]) -> list[str]:
    """Models, separated by commas; none: all.

    Raises:
        ValueError: an unknown one; the message lists the known.
    """
    names = [name.strip() for name in text.split(",") if name.strip()]
    if unknown := [name for name in names if name not in known]:
        raise ValueError(f"MODELS: expected some of {', '.join(known)}; got {', '.join(unknown)}")
    return names or list(known)


def end_on_signals() -> None:
    """SIGTERM and SIGHUP unwind as a Ctrl-C does, so that the servers of a benchmark end with it."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda number, _: sys.exit(128 + number))
