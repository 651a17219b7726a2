"""A program that publishes models as it is ordered to: `python publisher_stand_in.py ORDERS SOURCE TARGET MODEL…`.

It plans the models, then reads lines from the named pipe ORDERS: "publish MODEL", "fail MODEL" or "end STATUS".
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from server.publisher import Failed, Planned, Published, encoded


def main() -> int:
    orders, source, target, *models = sys.argv[1:]
    with Path(orders).open() as lines:
        sys.stdout.write(encoded(Planned(tuple(models))))
        sys.stdout.flush()
        for line in lines:
            order, word = line.split()
            if order == "end":
                return int(word)
            if order == "publish":
                folder = Path(target, f"{word}_net", "1")
                for file in sorted(
                    Path(source, f"{word}_net", "1").iterdir(), key=lambda file: file.name == "card.json"
                ):
                    os.link(file, folder / file.name)
            sys.stdout.write(encoded(Published(word) if order == "publish" else Failed(word, "the gate refused it")))
            sys.stdout.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main())
