"""Write configs, labels and adapters from the specs."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace
from pathlib import Path

from export import repository
from export.models import all_specs


def add(parser: ArgumentParser) -> None:
    """Its options."""
    parser.add_argument("--check", action="store_true", help="write nothing; fail where anything differs")


def run(options: Namespace) -> int:
    """Returns 1 where --check finds a difference."""
    folder: Path = options.repository
    differing = repository.differing(list(all_specs().values()), folder)
    if options.check:
        for path in differing:
            print(f"{folder / path}: not what the specs generate. Run `python -m export repository`.", file=sys.stderr)
        return 1 if differing else 0
    for path in repository.write(list(all_specs().values()), folder):
        print(f"wrote {folder / path}")
    return 0
