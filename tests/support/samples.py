"""Real medical files beside the checkout, where they are at hand. They may not be copied into it."""

from __future__ import annotations

import csv
import os
from dataclasses import dataclass
from pathlib import Path

from tests.support.checkout import ROOT

SAMPLES = Path(os.environ.get("MEDSERVE_SAMPLES", ROOT.parent / "shared"))


@dataclass(frozen=True)
class SampleFile:
    """One row of the sample data's manifest."""

    path: Path
    label: str


@dataclass(frozen=True)
class SampleData:
    """The folder of real files, and its manifest."""

    folder: Path

    def files(self, *groups: str) -> list[SampleFile]:
        """Files of these groups ("cxr", "derm", …), sorted."""
        with (self.folder / "data" / "manifest.csv").open(newline="") as table:
            rows = [row for row in csv.DictReader(table) if row["path"].split("/")[0] in groups]
        found = [SampleFile(self.folder / "data" / row["path"], row["label"]) for row in rows]
        return sorted((file for file in found if file.label != "list"), key=lambda file: file.path)
