"""medserve predict MODEL INPUT…: one JSON report a line."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from medserve.client import Client, Sendable
from medserve.errors import MedServeError


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit status: 1 if any input failed."""
    parser = argparse.ArgumentParser(prog="medserve", description="Client of a MedServe deployment.")
    commands = parser.add_subparsers(dest="command", required=True)
    predict = commands.add_parser("predict", help="print the model's report of each input, one JSON object a line")
    predict.add_argument("model")
    predict.add_argument("inputs", nargs="+", metavar="INPUT", help="a file, or a SMILES")
    predict.add_argument("--url", default=os.environ.get("MEDSERVE_URL", "grpc://127.0.0.1:8001"))
    predict.add_argument("--timeout-s", type=float, default=30.0)
    options = parser.parse_args(arguments)
    try:
        with Client(options.url, timeout_s=options.timeout_s) as client:
            return max([_predict(client, options.model, given) for given in options.inputs])
    except ValueError as exc:
        print(f"medserve: {exc}", file=sys.stderr)
        return 2


def _predict(client: Client, model: str, given: str) -> int:
    try:
        name, *more = client.input_names(model)
        if more:
            print(f"medserve: {model}: takes several inputs; ask it from Python", file=sys.stderr)
            return 1
        value: Sendable = Path(given) if os.path.isfile(given) else given
        report = client.predict(model, **{name: value}).report
    except MedServeError as exc:
        note = " (no such file: sent as text)" if exc.code == "not_an_image" and not os.path.isfile(given) else ""
        print(f"medserve: {given}{note}: {exc}", file=sys.stderr)
        return 1
    print(json.dumps(report, ensure_ascii=False))
    return 0


if __name__ == "__main__":
    sys.exit(main())
