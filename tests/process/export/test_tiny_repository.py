"""The tiny repository stands for the real one: same declarations, nothing stale, text alike."""

from __future__ import annotations

import pytest

from export.card import declaration
from export.models import all_specs
from export.publish import Order, published, stale
from export.repository import differing
from tests.support.specs import tiny_specs


@pytest.mark.parametrize("name", all_specs())
def test_tiny_model_for_the_real_spec_is_not_stale(name, tiny_repository):
    spec = all_specs()[name]

    assert stale(spec, tiny_repository, Order()) == ""
    assert declaration(tiny_specs()[name]) == declaration(spec)
    assert published(spec, tiny_repository).choice.artefact == "fp32.onnx"


def test_tiny_repository_of_all_models_has_the_generated_text(tiny_repository):
    assert differing(list(all_specs().values()), tiny_repository) == []


def test_tiny_model_alone_is_a_repository_of_that_model(tiny):
    assert differing([all_specs()["pneumonia"]], tiny("pneumonia")) == []
    assert sorted(file.parent.name for file in tiny("pneumonia").glob("*/config.pbtxt")) == [
        "describe", "pneumonia", "pneumonia_net", "preprocess_xray", "report",
    ]  # fmt: skip
