"""What a default server holds: the eight models that fit any machine, in their real sizes."""

from __future__ import annotations

import base64
import json
from pathlib import Path

from export.models import all_specs
from export.samples import picture
from tests.support.live import Live, serving
from tests.support.repositories import run_export

GIGABYTE = 1e9


def _resident(live: Live) -> float:
    """Bytes that the server and its workers hold, shared pages counted once."""
    pids = [live.process.pid, live.triton().pid, *(worker.pid for worker in live.workers().values())]
    lines = (Path(f"/proc/{pid}/smaps_rollup").read_text() for pid in pids)
    return sum(int(line.split()[1]) << 10 for text in lines for line in text.splitlines() if line.startswith("Pss:"))


def test_by_default_the_eight_that_fit_any_machine_are_served_in_4_gb(tmp_path: Path) -> None:
    expected = {spec.name for spec in all_specs().values() if not spec.on_request}
    run_export(tmp_path / "model_repository")
    with serving(tmp_path / "model_repository", tmp_path, MODELS="") as live:
        said = json.loads(live.generate("describe", model="").json()["description"])
        assert set(said) == expected
        assert len(expected) == 8
        image = base64.b64encode(picture(1)).decode()
        for name in expected:
            inputs = {sent.name: "CCO" if sent.name == "smiles" else image for sent in all_specs()[name].step.inputs}
            assert live.generate(name, **inputs).status == 200
        resident = _resident(live)
        print(f"eight models, each asked once: {resident / GIGABYTE:.2f} GB resident (PSS)")
        assert resident <= 4 * GIGABYTE
