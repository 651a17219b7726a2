"""Runs the load generator, in a process of its own."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import msgspec

from benchmarks.load.run import Run
from benchmarks.load.slo import Campaign, Slo, SloError
from benchmarks.load.target import Target
from benchmarks.load.watch import Served

BEGAN, ENDED = ".began", ".ended"  # files that the load generator makes: from here, to here it is measured
POLL_S = 0.02
LOCUSTFILE = Path(__file__).resolve().parent.parent / "locustfile.py"


@dataclass(frozen=True, slots=True)
class Generator:
    """Loads servers.

    Args:
        campaign: what is sent, and for how long unless a promise says otherwise.
        data: folder of sample data; None: files are made.
        folder: for each run's figures and log.
    """

    campaign: Campaign
    data: Path | None
    folder: Path

    def run(self, slo: Slo, target: Target, number: int = 1) -> tuple[Run, Served]:
        """One run.

        Args:
            slo: what is promised.
            target: the server.
            number: of the run.

        Raises:
            SloError: the load generator ended without figures, or before its time; the message ends with its log's
                last line.
        """
        asked, out = self.folder / f"{slo.name}-{number}.slo.json", self.folder / f"{slo.name}-{number}.json"
        asked.write_bytes(msgspec.json.encode(msgspec.structs.replace(self.campaign, slo=(slo,))))
        for earlier in (out, out.with_suffix(BEGAN), out.with_suffix(ENDED)):
            earlier.unlink(missing_ok=True)
        command = [sys.executable, "-m", "locust", "--locustfile", str(LOCUSTFILE), "--headless", "--only-summary"]
        command += ["--exit-code-on-error", "0"]  # refusals are counted by us
        command += ["--host", target.urls[slo.protocol], "--slo", slo.name, "--slo-file", str(asked), "--out", str(out)]
        command += ["--data", str(self.data)] if self.data else []
        with out.with_suffix(".log").open("w") as log, _locust(command, log) as locust:
            if _appears(out.with_suffix(BEGAN), locust):
                target.watch.begin()
            served = target.watch.end() if _appears(out.with_suffix(ENDED), locust) else None
            status = locust.wait()
        if status or served is None or not out.is_file():
            lines = out.with_suffix(".log").read_text("utf-8", "replace").strip().splitlines()
            raise SloError(
                f"{slo.name}: expected the load generator to end with figures, got status {status}, see "
                f"{out.with_suffix('.log')}: {lines[-1] if lines else 'nothing said'}"
            )
        return Run.read(out, slo.name), served


@contextlib.contextmanager
def _locust(command: Sequence[str], log: IO[str]) -> Iterator[subprocess.Popen[bytes]]:
    """It ends with the block, whatever ends that. It reads no keys: Locust's change the load."""
    environment = os.environ | {"LOCUST_SKIP_MONKEY_PATCH": "1"}
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def _appears(file: Path, process: subprocess.Popen[bytes]) -> bool:
    """Whether it did before the process ended."""
    while process.poll() is None and not file.exists():
        time.sleep(POLL_S)
    return file.exists()
