"""All nine models in one server: ready, and the same twice."""

from __future__ import annotations

import base64

import numpy as np
import pytest

from export.models import all_specs
from export.samples import picture
from tests.support.live import Live


def test_nine_models_are_ready_at_once(triton: Live) -> None:
    assert len(all_specs()) == 9
    for name in all_specs():
        assert triton.request("GET", f"/v2/models/{name}/ready").status == 200


@pytest.mark.parametrize("spec", [s for s in all_specs().values() if s.mc_passes], ids=lambda spec: spec.name)
def test_two_calls_give_identical_bytes(triton: Live, spec) -> None:
    image = base64.b64encode(picture(6)).decode()
    one, other = (triton.generate(spec.name, image=image).json() for _ in range(2))
    assert all(one[output.name] == other[output.name] for output in spec.outputs)
    total = -np.sum(one["mc_probabilities"] * np.log(one["mc_probabilities"])) / np.log(len(spec.labels))
    assert one["aleatoric"] + one["epistemic"] == pytest.approx(total, abs=1e-5)
