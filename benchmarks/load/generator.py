"""Runs the load generator, in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import msgspec

from benchmarks.load.run import Run
from benchmarks.load.slo import Slo, SloError
from benchmarks.load.watch import Served, Watch

LOCUSTFILE = Path(__file__).resolve().parent.parent / "locustfile.py"


@dataclass(frozen=True, slots=True)
class Target:
    """A server that is to be loaded: its URLs by protocol, and what watches it."""

    urls: dict[str, str]
    watch: Watch


def measure(slo: Slo, file: Path, target: Target, data: str, folder: Path, number: int) -> tuple[Run, Served]:
    """One run.

    Args:
        slo: what is promised.
        file: that holds it.
        target: the server.
        data: folder of sample data; "": none.
        folder: for the run's figures and log.
        number: of the run.

    Raises:
        SloError: the load generator ended without figures; the message ends with its log's last line.
    """
    out = folder / f"{slo.name}-{number}.json"
    command = [sys.executable, "-m", "locust", "--locustfile", str(LOCUSTFILE), "--headless", "--only-summary"]
    command += ["--host", target.urls[slo.protocol], "--slo", slo.name, "--slo-file", str(file), "--out", str(out)]
    target.watch.begin()
    with out.with_suffix(".log").open("w") as log:
        environment = os.environ | {"LOCUST_SKIP_MONKEY_PATCH": "1"}
        command += ["--data", data] if data else []
        subprocess.run(command, stdout=log, stderr=log, env=environment, check=False)
    served = target.watch.end()
    if not out.is_file():
        lines = out.with_suffix(".log").read_text("utf-8", "replace").strip().splitlines()
        raise SloError(
            f"{slo.name}: expected the load generator to end with figures, see {out.with_suffix('.log')}: "
            f"{lines[-1] if lines else 'nothing said'}"
        )
    return msgspec.json.decode(out.read_bytes(), type=Run), served
