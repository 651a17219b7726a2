"""`medserve`: the client in a shell. Needs typer and Pillow: `pip install 'medserve[cli]'`."""

from __future__ import annotations

import sys
from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit status: 0, 1 if any item failed, 2 if nothing could be tried."""
    try:
        from medserve.cli.app import run
    except ImportError as exc:
        print(f"medserve: expected {exc.name}. Run `pip install 'medserve[cli]'`.", file=sys.stderr)
        return 2
    return run(arguments)
