"""No file keeps a live server busy for long: seconds, so on a quiet machine."""

from __future__ import annotations

import json
import time

from export.samples import picture
from tests.support.live import Live
from tests.support.samples import SampleData

MAX_SECONDS = 2.0


def test_hostile_files_and_molecules_are_answered_or_refused_in_two_seconds(
    triton: Live, sample_data: SampleData
) -> None:
    folder = sample_data.folder / "data" / "awkward"
    files = [file for file in sorted(folder.iterdir()) if file.suffix not in (".csv", ".json", ".md")]
    rows = json.loads((folder / "smiles.json").read_text("utf-8"))
    assert len(files) > 20
    triton.infer_raw("chest_xray", picture(1))  # warm, so that the first file is not charged for it
    took: dict[str, float] = {}
    for file in files:
        content, start = file.read_bytes(), time.monotonic()
        triton.infer_raw("chest_xray", content)
        took[file.name] = time.monotonic() - start
    for row in rows:
        start = time.monotonic()
        triton.generate("solubility", smiles=row["smiles"])
        took[row["smiles"][:40]] = time.monotonic() - start
    assert not {name: seconds for name, seconds in took.items() if seconds > MAX_SECONDS}
