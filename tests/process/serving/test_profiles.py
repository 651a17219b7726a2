"""The profiles that a machine without a GPU can load, on a live Triton: what answers, and that it says so."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from export.models import all_specs
from export.samples import MOLECULES, picture
from medserve import Client
from report.card import Card
from tests.support.live import Live
from tests.support.repositories import TRAINED

pytestmark = pytest.mark.slow  # networks of real size, as they were tuned

SPECS = [all_specs()[name] for name in TRAINED]


def _asked(live: Live, name: str) -> tuple[dict, dict]:
    sent = {each.name: picture(3) for each in all_specs()[name].step.inputs}
    with Client(live.grpc_url) as client:
        prediction = client.predict(name, sent | ({"smiles": MOLECULES[2]} if "smiles" in sent else {}))
    return prediction.outputs, prediction.report


@pytest.mark.parametrize("name", [spec.name for spec in SPECS])
def test_a_report_names_the_precision_that_computed_it(
    triton_real: Live, triton_real_fp32: Live, repository: Path, name: str
) -> None:
    choice = Card.read(repository / f"{name}_net" / "1" / "card.json").choice
    (tuned, said), (exact, said_exact) = _asked(triton_real, name), _asked(triton_real_fp32, name)
    assert said["provenance"]["precision"] == (choice.precision if choice else "fp32")
    assert said["provenance"]["artefact"] == (choice.artefact if choice else "fp32.onnx")
    assert said_exact["provenance"]["precision"] == "fp32"
    assert "published_anyway" not in said["provenance"]
    first = all_specs()[name].outputs[0].name
    bound = 0.05 if choice and choice.precision != "fp32" else 1e-4
    np.testing.assert_allclose(tuned[first], exact[first], atol=bound)


def test_the_description_tells_what_passed_and_what_was_refused(triton_real: Live) -> None:
    with Client(triton_real.grpc_url) as client:
        told = client.describe("pneumonia").report
    assert {"fp16.onnx", "fp32.onnx"} <= set(told["artefacts"])
    assert told["refused"]["int8.onnx"]["why"]
    assert told["compared"]["pictures"] == 8
    assert "sha256" not in told["compared"]
    assert all(found["refused"] == [] for found in told["artefacts"]["fp16.onnx"]["comparisons"])
