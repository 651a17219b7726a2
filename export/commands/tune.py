"""Time what passed its gate, and serve the fastest on this CPU."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from export.commands.lines import tune_line
from export.commands.options import chosen


def add(parser: ArgumentParser) -> None:
    """Its options."""
    parser.add_argument("models", nargs="?", default="", help="names, separated by commas, or all")
    parser.add_argument("--rounds", type=int, default=20, help="of each batch size")


def run(options: Namespace) -> int:
    """Choose for every model that is named."""
    for spec in chosen(options.models):
        print(f"{spec.name}\n{tune_line(spec, options.repository, options.rounds)}", flush=True)
    return 0
