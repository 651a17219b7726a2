"""All nine models in one server: ready, small enough, and the same twice."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import numpy as np
import pytest

from export.models import all_specs
from export.samples import picture
from tests.support.live import Live, serving

GIGABYTE = 1e9


def _resident(live: Live) -> float:
    """Bytes that the server and its workers hold, shared pages counted once."""
    pids = [live.process.pid, live.triton().pid, *(worker.pid for worker in live.workers().values())]
    lines = (Path(f"/proc/{pid}/smaps_rollup").read_text() for pid in pids)
    return sum(int(line.split()[1]) << 10 for text in lines for line in text.splitlines() if line.startswith("Pss:"))


def test_nine_models_are_ready_at_once(triton: Live) -> None:
    assert len(all_specs()) == 9
    for name in all_specs():
        assert triton.request("GET", f"/v2/models/{name}/ready").status == 200


def test_by_default_the_eight_that_fit_any_machine_are_served_in_4_gb(repository: Path, tmp_path: Path) -> None:
    expected = {spec.name for spec in all_specs().values() if not spec.on_request}
    with serving(repository, tmp_path, MODELS="") as live:
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


@pytest.mark.parametrize("spec", [s for s in all_specs().values() if s.mc_passes], ids=lambda spec: spec.name)
def test_two_calls_give_identical_bytes(triton: Live, spec) -> None:
    image = base64.b64encode(picture(6)).decode()
    one, other = (triton.generate(spec.name, image=image).json() for _ in range(2))
    assert all(one[output.name] == other[output.name] for output in spec.outputs)
    total = -np.sum(one["mc_probabilities"] * np.log(one["mc_probabilities"])) / np.log(len(spec.labels))
    assert one["aleatoric"] + one["epistemic"] == pytest.approx(total, abs=1e-5)
