"""The self-description: everything a caller needs, nothing that is for the exporter alone."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from report.card import Card, cards_below
from report.description import UnknownModel, describe
from tests.support.specs import tiny_specs


@pytest.fixture(scope="module")
def cards(tiny_repository: Path) -> list[Card]:
    return cards_below(tiny_repository)


def test_all_models_are_described_at_once(cards: list[Card]) -> None:
    said = json.loads(describe(cards, ""))
    assert sorted(said) == sorted(tiny_specs())
    for name, spec in tiny_specs().items():
        model = said[name]
        assert model["labels"] == list(spec.labels)
        assert model["disclaimer"] == spec.disclaimer
        assert model["intended_use"] == spec.intended_use
        assert [sent["name"] for sent in model["inputs"]] == [sent.name for sent in spec.step.inputs]
        assert [given["name"] for given in model["outputs"]] == [output.name for output in spec.outputs]
        assert len(model["artefacts"]["fp32.onnx"]["sha256"]) == 64
        assert model["weights"]["trained"] in (True, False)
        assert model["artefacts"]["fp32.onnx"]["comparisons"][0]["samples"] > 0


def test_rules_and_units_are_data(cards: list[Card]) -> None:
    said = json.loads(describe(cards, ""))
    assert said["pneumonia"]["rules"]["review_below_confidence"] == 0.7
    assert [level["name"] for level in said["pneumonia_cnn"]["rules"]["risk_levels"]] == ["LOW", "MEDIUM", "HIGH"]
    assert said["skin_lesion"]["rules"]["operating_points"] == [{"label": "melanoma", "at_least": 0.2}]
    assert said["skin_lesion_medgemma"]["rules"]["operating_points"] == [{"label": "mel", "at_least": 0.2}]
    assert said["solubility"]["unit"] == "log mol/L"
    assert {sent["name"]: sent["heatmap"] for sent in said["brain_fusion"]["inputs"]} == {
        "ct": "heatmap_ct",
        "mri": "heatmap_mri",
    }


def test_one_model_or_none(cards: list[Card]) -> None:
    assert list(json.loads(describe(cards, "pneumonia"))) == ["pneumonia"]
    with pytest.raises(UnknownModel, match="chest_xray") as caught:
        describe(cards, "DOE^JOHN")
    assert "DOE" not in str(caught.value)
