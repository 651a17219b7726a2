"""python docker/monitoring/dashboard: write the dashboard that the chart and compose give to Grafana.

--check   write nothing, and exit with 1 where the committed file is not the generated one
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from drawing import drawn
from rows import ALERTS, RESTARTS, ROWS, VARIABLES

FILE = Path(__file__).resolve().parents[2] / "chart" / "dashboards" / "medserve.json"


def main() -> int:
    """Returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python docker/monitoring/dashboard",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--check", action="store_true")
    options = parser.parse_args()
    text = drawn("MedServe", ROWS, VARIABLES, {"Restarts": (RESTARTS, "red"), "Alerts": (ALERTS, "orange")})
    if not options.check:
        FILE.parent.mkdir(exist_ok=True)
        FILE.write_text(text, "utf-8")
    elif not FILE.is_file() or FILE.read_text("utf-8") != text:
        print(
            "dashboard: medserve.json is not the generated one: run `python docker/monitoring/dashboard`",
            file=sys.stderr,
        )
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
