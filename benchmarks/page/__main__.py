"""python -m benchmarks.page: docs/performance.md, out of the figures that benchmarks/results keeps.

(nothing)     write the page
keep FILE…    keep what a benchmark wrote, in the place of earlier figures of its kind, and write the page
check         fail where the page is not what the figures say
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.figures import FiguresError
from benchmarks.page.page import PAGE, text
from benchmarks.page.results import FOLDER, files, kept, read


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.page", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("command", nargs="?", choices=("write", "keep", "check"), default="write")
    parser.add_argument("files", nargs="*", type=Path)
    options = parser.parse_args(arguments)
    try:
        for file in options.files if options.command == "keep" else []:
            print(kept(file))
        found = text([read(file) for file in files()])
    except FiguresError as exc:
        print(f"page: {exc}", file=sys.stderr)
        return 1
    if options.command == "check":
        if PAGE.read_text("utf-8") == found:
            return 0
        print(f"page: {PAGE.name} is not what {FOLDER.name} says. Run `python -m benchmarks.page`.", file=sys.stderr)
        return 1
    PAGE.write_text(found, "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
