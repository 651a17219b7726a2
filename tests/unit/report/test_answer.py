"""Reports: what they say, whose rules they apply, and what they refuse to guess."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest

from report.answer import Implausible, Reporter, UnknownFingerprint
from report.card import Card, WeightsOrigin
from report.declaration import Interval
from report.plan import Plan
from report.rules import Grade, OperatingPoint, Rules
from tests.support.cards import FIELDS, LEVELS, made_card

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


def _summary(*figures: float, fingerprint: tuple[int, int] = (3, 2**24 - 1)) -> np.ndarray:
    return np.float32([*fingerprint, *figures])


def _report(card: Card, *figures: float) -> dict:
    return json.loads(Reporter([card], "1").report(_summary(*figures), NOW))


def test_a_whole_report() -> None:
    assert _report(made_card(), 0.1, 0.9, 0.25) == {
        "model": "lung",
        "prediction": "B",
        "confidence": 0.9,
        "probabilities": {"A": 0.1, "B": 0.9},
        "uncertainty": 0.25,
        "risk_level": "LOW",
        "needs_review": False,
        "review_reasons": [],
        "disclaimer": "not for diagnosis",
        "timestamp": "2026-11-21T12:00:00.000Z",
        "provenance": {
            "model_version": "1",
            "artefact": "fp32.onnx",
            "artefact_sha256": "ab" * 32,
            "precision": "fp32",
            "weights": "trained",
            "checkpoint_sha256": "cd" * 32,
            "temperature": 1.0,
            "calibrated": False,
            "preprocessing": "1",
        },
    }


def test_an_answer_of_a_plan_names_the_plans_of_its_artefact() -> None:
    plan = Plan(
        file="sm90.plan", size_bytes=1, sha256="ef" * 32, library="tensorrt 10.12.0.36", compute_capabilities=("9.0",),
        precision="fp32", onnx="fp32.onnx", onnx_sha256="ab" * 32, batch=(1, 8, 16), layers={}, checked_by="network",
        timing_cache="", build_s=1.0,
    )  # fmt: skip
    others = [
        replace(plan, file="fp16.plan", onnx="fp16.onnx"),
        replace(plan, file="sm80.plan", compute_capabilities=("8.0",)),  # another GPU's
    ]
    card = replace(made_card(), plans={each.file: each for each in (plan, *others)})
    for profile, backend, expected in (
        ("tensorrt", "tensorrt", ({"sm90.plan": "ef" * 32}, "TensorRT")),
        ("tensorrt", "onnxruntime", (None, "onnxruntime CUDA")),  # no plan passed: the launcher serves it on CUDA
        ("cuda", "onnxruntime", (None, "onnxruntime CUDA")),
        ("cpu", "onnxruntime", (None, None)),
    ):
        reporter = Reporter([card], "1", profile, gpu="9.0", backend={card.declaration.net: backend}.__getitem__)
        provenance = json.loads(reporter.report(_summary(0.1, 0.9, 0.25), NOW))["provenance"]
        assert (provenance.get("plans"), provenance.get("runtime")) == expected


@pytest.mark.parametrize(("confidence", "review"), [(0.69, True), (0.7, False), (0.71, False)])
def test_low_confidence_goes_to_a_person(confidence: float, review: bool) -> None:
    report = _report(made_card(), 1 - confidence, confidence, 0.1)
    assert report["needs_review"] is review
    assert bool(report["review_reasons"]) is review


@pytest.mark.parametrize(
    ("confidence", "uncertainty", "level"),
    [
        (0.81, 0.29, "LOW"),
        (0.8, 0.29, "MEDIUM"),
        (0.81, 0.3, "MEDIUM"),
        (0.61, 0.49, "MEDIUM"),
        (0.6, 0.49, "HIGH"),
        (0.61, 0.5, "HIGH"),
        (0.99, 0.9, "HIGH"),
    ],
)
def test_risk_levels(confidence: float, uncertainty: float, level: str) -> None:
    report = _report(
        made_card(rules=Rules(review_below_confidence=None, risk_levels=LEVELS)),
        1 - confidence,
        confidence,
        uncertainty,
    )
    assert report["risk_level"] == level
    assert report["needs_review"] is (level == "HIGH")


def test_a_regression_and_its_review_rule() -> None:
    card = made_card(
        labels=(),
        unit="log mol/L",
        summary_fields=("log_s", "lower", "upper", "unknown_atoms"),
        interval=Interval(lower="lower", upper="upper", level=0.9),
        rules=Rules(review_above=(("unknown_atoms", 0.0),), review_outside=(("log_s", -11.6, 1.5),)),
    )
    plain, odd = _report(card, -1.5, -2.5, -0.5, 0), _report(card, -1.5, -2.5, -0.5, 2)
    assert plain["prediction"] == plain["log_s"] == -1.5
    assert plain["unit"] == "log mol/L"
    assert (plain["interval"], plain["interval_level"]) == ([-2.5, -0.5], 0.9)
    assert plain["needs_review"] is False
    assert "risk_level" not in plain
    assert odd["review_reasons"] == ["unknown_atoms 2 is above 0"]
    for beyond in (-80.2, 1.6):
        (reason,) = _report(card, beyond, -2.5, -0.5, 0)["review_reasons"]
        assert "outside of -11.6 to 1.5" in reason
    assert not _report(card, 1.5, -2.5, -0.5, 0)["needs_review"]


@pytest.mark.parametrize(("probability", "alert"), [(0.19, False), (0.2, True), (0.45, True)])
def test_a_finding_that_must_not_be_missed_is_reported_beside_the_prediction(probability: float, alert: bool) -> None:
    rules = Rules(review_below_confidence=None, operating_points=(OperatingPoint(label="B", at_least=0.2),))
    report = _report(made_card(rules=rules), 1 - probability, probability, 0.5)
    assert report["prediction"] == "A"
    assert [found["label"] for found in report["alerts"]] == (["B"] if alert else [])
    assert report["needs_review"] is alert
    if alert:
        assert report["review_reasons"] == [f"B: probability {probability:.3f} is at or above 0.2"]


def _staged(**changes) -> Card:
    rules = Rules(
        review_below_confidence=None,
        grades=(Grade(figure="stage", names=("I", "II", "III", "IV"), bounds=(0.25, 0.5, 0.75)),),
        not_applicable=(("A", ("stage", "risk")),),
    )
    fields = (*FIELDS, "stage", "risk", "present:ct", "present:mri")
    return made_card(summary_fields=fields, rules=rules, **changes)


@pytest.mark.parametrize(
    ("score", "stage"), [(0, "I"), (0.249, "I"), (0.25, "II"), (0.5, "III"), (0.75, "IV"), (1.0, "IV")]
)
def test_a_score_becomes_a_stage(score: float, stage: str) -> None:
    report = _report(_staged(), 0.25, 0.75, 0.5, score, 0.125, 1, 0)
    assert report["stage"] == stage
    assert report["stage_score"] == pytest.approx(score)
    assert report["risk"] == 0.125
    assert report["modalities"] == ["ct"]


def test_a_stage_of_a_healthy_brain_is_none() -> None:
    report = _report(_staged(), 0.75, 0.25, 0.5, 0.9, 0.125, 1, 1)
    assert (report["stage"], report["stage_score"], report["risk"]) == (None, None, None)
    assert report["modalities"] == ["ct", "mri"]


@pytest.mark.parametrize("figures", [(1.5, 0.5, 1, 0), (0.5, -0.1, 1, 0), (0.5, 0.5, 7, 0)])
def test_other_figures_outside_0_to_1_are_no_finding(figures: tuple[float, ...]) -> None:
    with pytest.raises(Implausible):
        _report(_staged(), 0.75, 0.25, 0.5, *figures)


def test_untrained_weights_are_never_silent() -> None:
    from dataclasses import replace

    card = replace(made_card(), weights=WeightsOrigin(trained=False, seed=0))
    report = _report(card, 0.1, 0.9, 0.1)
    assert report["provenance"]["weights"] == "untrained"
    assert report["needs_review"] is True
    assert "untrained" in report["review_reasons"][0]


def test_each_model_by_its_fingerprint() -> None:
    reporter = Reporter([made_card("one", (1, 1)), made_card("two", (1, 2))], "1")
    assert json.loads(reporter.report(_summary(0.5, 0.5, 1, fingerprint=(1, 2))))["model"] == "two"


@pytest.mark.parametrize(
    "summary",
    [
        _summary(0.5, 0.5, 1, fingerprint=(1, 1)),
        _summary(0.5, 0.5),
        _summary(0.5, 0.5, 1, 1),
        np.float32([float("nan")] * 5),
    ],
)
def test_an_unknown_artefact_is_an_error(summary: np.ndarray) -> None:
    with pytest.raises(UnknownFingerprint):
        Reporter([made_card()], "1").report(summary)


@pytest.mark.parametrize("figure", [float("nan"), float("inf"), float("-inf")])
def test_an_overflow_is_no_finding(figure: float) -> None:
    with pytest.raises(Implausible):
        Reporter([made_card()], "1").report(_summary(0.1, figure, 0.1))


@pytest.mark.parametrize(
    "figures", [(99.0, 0.1, 0.1), (-3.0, 4.0, 0.1), (0.4, 0.4, 0.1), (0.5, 0.5, -5), (0.5, 0.5, 2)]
)
def test_figures_that_no_model_computes_are_no_finding(figures: tuple[float, ...]) -> None:
    with pytest.raises(Implausible):
        Reporter([made_card()], "1").report(_summary(*figures))


def test_two_artefacts_with_one_fingerprint_are_refused() -> None:
    with pytest.raises(ValueError, match="fingerprint"):
        Reporter([made_card("one"), made_card("two")], "1")


def test_figures_are_the_shortest_decimals_of_their_fp32() -> None:
    figure = np.float32(1 / 3)
    text = Reporter([made_card()], "1").report(_summary(figure, 1 - figure, 0.1), NOW)
    assert '"A":0.33333334' in text
    assert np.float32(json.loads(text)["probabilities"]["A"]) == figure
