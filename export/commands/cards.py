"""Write a readable card of each model."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace
from pathlib import Path

from export import card, model_card
from export.models import all_specs
from report.card import cards_below


def add(parser: ArgumentParser) -> None:
    """Its options."""
    parser.add_argument("--folder", type=Path, default=Path("docs/models"))
    parser.add_argument("--check", action="store_true", help="write nothing; fail where anything differs")
    parser.add_argument(
        "--record", action="store_true", help="first take what was measured from the repository's cards"
    )


def run(options: Namespace) -> int:
    """Returns 1 where --check finds a difference."""
    folder: Path = options.folder
    if not options.check:
        folder.mkdir(parents=True, exist_ok=True)
    if options.record:
        record = folder / model_card.MEASURED
        before = record.read_bytes() if record.is_file() else b"{}"
        record.write_bytes(model_card.measured(cards_below(options.repository), before))
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
