"""Runs the load generator, in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import msgspec

from benchmarks.load.run import Run
from benchmarks.load.slo import Campaign, Slo, SloError
from benchmarks.load.target import Target
from benchmarks.load.watch import Served

LOCUSTFILE = Path(__file__).resolve().parent.parent / "locustfile.py"


@dataclass(frozen=True, slots=True)
class Generator:
    """Loads servers.

    Args:
        campaign: what is sent, and for how long unless a promise says otherwise.
        data: folder of sample data; "": none.
        folder: for each run's figures and log.
    """

    campaign: Campaign
    data: str
    folder: Path

    def run(self, slo: Slo, target: Target, number: int = 1) -> tuple[Run, Served]:
        """One run.

        Args:
            slo: what is promised.
            target: the server.
            number: of the run.

        Raises:
            SloError: the load generator ended without figures; the message ends with its log's last line.
        """
        asked, out = self.folder / f"{slo.name}-{number}.slo.json", self.folder / f"{slo.name}-{number}.json"
        asked.write_bytes(msgspec.json.encode(msgspec.structs.replace(self.campaign, slo=(slo,))))
        command = [sys.executable, "-m", "locust", "--locustfile", str(LOCUSTFILE), "--headless", "--only-summary"]
        command += ["--host", target.urls[slo.protocol], "--slo", slo.name, "--slo-file", str(asked), "--out", str(out)]
        command += ["--data", self.data] if self.data else []
        target.watch.begin()
        with out.with_suffix(".log").open("w") as log:
            environment = os.environ | {"LOCUST_SKIP_MONKEY_PATCH": "1"}
            subprocess.run(command, stdout=log, stderr=log, env=environment, check=False)
        served = target.watch.end()
        if not out.is_file():
            lines = out.with_suffix(".log").read_text("utf-8", "replace").strip().splitlines()
            raise SloError(
                f"{slo.name}: expected the load generator to end with figures, see {out.with_suffix('.log')}: "
                f"{lines[-1] if lines else 'nothing said'}"
            )
        return msgspec.json.decode(out.read_bytes(), type=Run), served
