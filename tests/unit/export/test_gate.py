"""The gate's bounds, each from both sides: what lies just inside passes, what lies just outside is named."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from export import figures
from export.engines import Ran
from export.figures import UNLABELLED
from export.models import all_specs
from export.parity import compare
from export.pictures import Items
from export.spec import Bounds, Gate, ModelSpec
from report.comparison import Comparison, PictureSet

SPEC = all_specs()["skin_lesion"]
MELANOMA = SPEC.labels.index("melanoma")
NEVUS = SPEC.labels.index("nevus")
COUNT = 200
FINGERPRINT = (12, 34)


def _answers(spec: ModelSpec = SPEC, count: int = COUNT) -> dict[str, np.ndarray]:
    """Sure answers: the label of item i is i modulo the classes, at 0.9."""
    random = np.random.default_rng(0)
    classes = len(spec.labels)
    probabilities = np.full((count, classes), 0.1 / (classes - 1), np.float32)
    probabilities[np.arange(count), np.arange(count) % classes] = 0.9
    answers = {"probabilities": probabilities}
    for output in spec.outputs[1:]:
        answers[output.name] = random.uniform(0.2, 0.8, (count, *output.dims)).astype(np.float32)
    return answers


def _compared(
    expected: dict,
    got: dict,
    precision: str,
    spec: ModelSpec = SPEC,
    labels: np.ndarray | None = None,
    *,
    synthetic: bool = False,
) -> Comparison:
    count = len(expected["probabilities"])
    items = Items(
        statistics=np.empty((0, 0), np.float32),
        inputs={},
        labels=np.full(count, UNLABELLED) if labels is None else labels,
        origin=PictureSet(source="made up", synthetic=synthetic, sha256=()),
    )
    ran = Ran(
        engine="onnxruntime",
        precision=precision,
        answers=got if "summary" in got else got | {"summary": _summary(spec, got)},
    )
    return compare(spec, expected, ran, items, FINGERPRINT)


def _summary(spec: ModelSpec, got: dict) -> np.ndarray:
    """What a sound artefact says of its own answers."""
    blank = np.zeros((len(got["probabilities"]), 2 + len(spec.summary_fields)), np.float32)
    blank[:, :2] = FINGERPRINT
    return np.concatenate([blank[:, :2], figures.summarised(spec, got, blank)], 1)


def _set(answers: dict, item: int, **by_label: float) -> dict:
    """A copy in which one item has these probabilities, and next to nothing else."""
    changed = {name: array.copy() for name, array in answers.items()}
    changed["probabilities"][item] = 0.001
    for label, value in by_label.items():
        changed["probabilities"][item, SPEC.labels.index(label)] = value
    return changed


@pytest.mark.parametrize("precision", ["fp32", "fp16", "bf16", "int8"])
def test_the_same_answers_pass(precision: str) -> None:
    found = _compared(_answers(), _answers(), precision)
    assert found.refused == ()
    assert found.label_flips == found.review_flips == found.risk_flips == 0
    assert all(value == pytest.approx(1.0) for value in found.heatmap_correlation.values())


@pytest.mark.parametrize(("precision", "bound"), [("fp32", 1e-4), ("fp16", 0.01), ("bf16", 0.03)])
@pytest.mark.parametrize("output", ["probabilities", "uncertainty", "mc_variance"])
def test_the_largest_error_is_bounded(precision: str, bound: float, output: str) -> None:
    expected = _answers()
    for share, passes in ((0.9, True), (1.1, False)):
        got = {name: array.copy() for name, array in expected.items()}
        got[output][7].flat[0] += bound * share
        refused = _compared(expected, got, precision).refused
        assert (refused == ()) is passes
        assert passes or f"{output}: expected max |Δ| ≤ {bound:g}, got" in refused[0]


def test_the_heat_map_of_fp32_has_a_bound_of_its_own() -> None:
    expected = _answers()
    for error, passes in ((9e-4, True), (1.1e-3, False)):
        got = expected | {"heatmap": expected["heatmap"] + np.float32(error)}
        assert (_compared(expected, got, "fp32").refused == ()) is passes


def test_the_mean_error_of_int8_is_bounded() -> None:
    expected = _answers()
    for error, passes in ((0.049, True), (0.051, False)):
        got = expected | {"probabilities": expected["probabilities"] + np.float32(error)}
        refused = _compared(expected, got, "int8").refused
        assert (refused == ()) is passes
        assert passes or "probabilities: expected mean |Δ| ≤ 0.05" in refused[0]
        other = _compared(expected, expected | {"epistemic": expected["epistemic"] + np.float32(error)}, "int8").refused
        assert (other == ()) is passes
        assert passes or "epistemic: expected mean |Δ| ≤ 0.05" in other[0]


@pytest.mark.parametrize(("precision", "tie"), [("fp16", 0.01), ("bf16", 0.03)])
def test_a_label_may_flip_where_pytorch_was_undecided(precision: str, tie: float) -> None:
    for margin, passes in ((0.9 * tie, True), (1.1 * tie, False)):
        expected = _set(_answers(), 3, nevus=0.5 + margin / 2, dermatofibroma=0.5 - margin / 2)
        got = _set(expected, 3, nevus=0.5 - margin / 20, dermatofibroma=0.5 + margin / 20)
        found = _compared(expected, got, precision)
        assert (found.label_flips, found.ties) == (1, int(passes))
        assert any("labels: expected at most 0 to flip" in sentence for sentence in found.refused) is not passes


def test_one_in_a_hundred_labels_may_flip_in_int8() -> None:
    expected = got = _answers()
    nevi = [item for item in range(COUNT) if item % len(SPEC.labels) == NEVUS]
    for flips, passes in ((2, True), (3, False)):
        for item in nevi[:flips]:
            got = _set(got, item, dermatofibroma=0.9)
        found = _compared(expected, got, "int8")
        assert found.label_flips == flips
        assert any("labels: expected at most 2 to flip" in sentence for sentence in found.refused) is not passes


def test_no_melanoma_may_be_lost() -> None:
    expected = _answers()
    got = _set(expected, MELANOMA, nevus=0.9)  # one flip of 200 would be allowed
    found = _compared(expected, got, "int8")
    assert found.critical["melanoma"].calls == sum(item % 9 == MELANOMA for item in range(COUNT))
    assert found.critical["melanoma"].lost == 1
    assert any("melanoma: expected none of" in sentence for sentence in found.refused)
    other_way = _compared(_set(expected, NEVUS, nevus=0.9), _set(expected, NEVUS, melanoma=0.9), "int8")
    assert other_way.critical["melanoma"].lost == 0


def test_a_class_without_an_operating_point_is_called_where_it_is_predicted() -> None:
    spec = all_specs()["chest_xray"]
    expected = _answers(spec, 40)
    got = expected | {"probabilities": expected["probabilities"].copy()}
    covid = spec.labels.index("COVID-19")
    got["probabilities"][covid] = expected["probabilities"][0]
    found = _compared(expected, got, "int8", spec).critical["COVID-19"]
    assert (found.calls, found.lost) == (10, 1)


def test_an_alert_below_the_prediction_is_a_call_too() -> None:
    expected = _set(_answers(), NEVUS, nevus=0.75, melanoma=0.21)
    for left, lost in ((0.2, 0), (0.19, 1)):
        found = _compared(expected, _set(expected, NEVUS, nevus=0.75, melanoma=left), "int8")
        assert found.label_flips == 0
        assert found.critical["melanoma"].lost == lost


def test_a_call_at_a_tie_is_lost_only_beyond_it() -> None:
    expected = _set(_answers(), NEVUS, nevus=0.75, melanoma=0.201)
    for left, lost in ((0.195, 0), (0.185, 1)):
        found = _compared(expected, _set(expected, NEVUS, nevus=0.75, melanoma=left), "fp16")
        assert (found.critical["melanoma"].lost, found.critical["melanoma"].ties) == (lost, 1 - lost)


def test_what_nobody_called_nobody_could_lose() -> None:
    """A lower precision of a model with critical classes: ten calls of each, in real pictures."""
    for melanomas, synthetic, passes in ((10, False, True), (9, False, False), (10, True, False)):
        expected = _answers()
        for item in [each for each in range(COUNT) if each % 9 == MELANOMA][melanomas:]:
            expected = _set(expected, item, nevus=0.95)
        for precision in ("fp16", "bf16", "int8"):
            refused = _compared(expected, expected, precision, synthetic=synthetic).refused
            assert (refused == ()) is passes
            told = (
                f"call it in at least 10 real pictures, so that a loss would show, got {0 if synthetic else melanomas}:"
            )
            assert passes or told in refused[0]
        assert _compared(expected, expected, "fp32", synthetic=synthetic).refused == ()
    spec = all_specs()["pneumonia_cnn"]  # without critical classes
    assert _compared(_answers(spec), _answers(spec), "int8", spec, synthetic=True).refused == ()


def test_reports_say_what_callers_get() -> None:
    expected = _answers()
    summary = _summary(SPEC, expected)
    for place, told in (
        (0, "expected the fingerprint (12, 34), got (13.0, 34.0)"),
        (2, f"probability:{SPEC.labels[0]}"),
        (2 + len(SPEC.labels), "summary: uncertainty: expected the output's own figure"),
    ):
        other = summary.copy()
        other[7, place] += 1
        assert any(told in sentence for sentence in _compared(expected, expected | {"summary": other}, "fp16").refused)
    rounded = summary.copy()
    rounded[:, 2:] += np.float32(9e-6)
    assert _compared(expected, expected | {"summary": rounded}, "fp16").refused == ()
    short = _compared(expected, expected | {"summary": summary[:, :-1]}, "fp16").refused
    assert "summary: shape: expected (200, 14), got (200, 13)" in short[0]


def test_reviews_and_risks_are_read_from_the_summary() -> None:
    spec = all_specs()["pneumonia_cnn"]
    calm = _answers(spec, 10) | {"uncertainty": np.full((10, 1), 0.1, np.float32)}
    summary = _summary(spec, calm)
    summary[3, 2 + spec.summary_fields.index("uncertainty")] = 0.9
    found = _compared(calm, calm | {"summary": summary}, "fp16", spec)
    assert (found.review_flips, found.risk_flips) == (1, 1)


@pytest.mark.parametrize("precision", ["fp16", "bf16", "int8"])
def test_one_answer_in_a_hundred_may_be_judged_milder(precision: str) -> None:
    spec = all_specs()["pneumonia_cnn"]  # LOW, MEDIUM, HIGH; HIGH goes to a person
    calm = _answers(spec) | {"uncertainty": np.full((COUNT, 1), 0.1, np.float32)}
    for level, told in ((0.4, "lowered risk levels"), (0.9, "lost reviews")):
        for count, passes in ((2, True), (3, False)):
            doubtful = calm | {"uncertainty": calm["uncertainty"].copy()}
            doubtful["uncertainty"][:count] = level
            found = _compared(doubtful, calm, precision, spec)
            assert (found.risk_flips, found.lowered_risks) == (count, count)
            assert any(f"{told}: expected at most 2, got {count}" in each for each in found.refused) is not passes
            harsher = _compared(calm, doubtful, precision, spec)
            assert (harsher.risk_flips, harsher.lowered_risks, harsher.lost_reviews) == (count, 0, 0)


def test_heat_maps_must_correlate() -> None:
    expected = _answers()
    noise = np.random.default_rng(1).normal(size=expected["heatmap"].shape)
    spread = expected["heatmap"].std()
    for share, passes in ((0.25, True), (0.45, False)):
        got = expected | {"heatmap": (expected["heatmap"] + share * spread * noise).astype(np.float32)}
        found = _compared(expected, got, "int8")
        assert (found.heatmap_correlation["heatmap"] >= 0.95) is passes
        assert (found.refused == ()) is passes
        assert passes or "heatmap: expected a median correlation ≥ 0.95" in found.refused[0]


@pytest.mark.parametrize("precision", ["fp32", "fp16", "bf16", "int8"])
def test_what_is_no_number_is_refused(precision: str) -> None:
    expected = _answers()
    got = {name: array.copy() for name, array in expected.items()}
    got["probabilities"][0] = np.nan
    assert _compared(expected, got, precision).refused
    for output in ("heatmap", "uncertainty"):
        nothing = expected | {output: np.full_like(expected[output], np.nan)}
        assert any(output in sentence for sentence in _compared(expected, nothing, precision).refused)


def test_names_and_shapes_come_first() -> None:
    expected = _answers()
    without = {name: array for name, array in expected.items() if name != "aleatoric"}
    short = without | {"heatmap": expected["heatmap"][:, :6], "summary": _summary(SPEC, expected)}
    refused = _compared(expected, short, "fp32").refused
    assert len(refused) == 2
    assert "heatmap: shape: expected (200, 7, 7), got (200, 6, 7)" in refused[0]
    assert "aleatoric: expected it, the file has probabilities" in refused[1]


def test_flips_of_review_and_risk_are_counted() -> None:
    spec = all_specs()["pneumonia_cnn"]  # LOW above 0.8 and below 0.3; HIGH goes to a person
    expected = _answers(spec, 10) | {"uncertainty": np.full((10, 1), 0.1, np.float32)}
    doubtful = expected["uncertainty"].copy()
    doubtful[:4] = 0.4  # MEDIUM
    doubtful[:1] = 0.9  # HIGH
    found = _compared(expected, expected | {"uncertainty": doubtful}, "int8", spec)
    assert (found.risk_flips, found.review_flips, found.lost_reviews) == (4, 1, 0)
    assert found.uncertainty_drift == pytest.approx((0.8 + 3 * 0.3) / 10)
    back = _compared(expected | {"uncertainty": doubtful}, expected, "int8", spec)
    assert (back.risk_flips, back.review_flips, back.lost_reviews) == (4, 1, 1)


def test_the_truth_is_asked_where_it_is_known() -> None:
    expected = _answers()
    truth = expected["probabilities"].argmax(1)
    truth[100:] = UNLABELLED
    truth[:9] = (truth[:9] + 1) % 9  # PyTorch is wrong on the first nine
    got = expected
    for item in range(2):  # the variant is right on two of them
        got = _set(got, item, **{SPEC.labels[truth[item]]: 0.9})
    for item in range(20, 26):  # and wrong on six others
        got = _set(got, item, **{SPEC.labels[(truth[item] + 1) % 9]: 0.9})
    found = _compared(expected, got, "int8", labels=truth).labelled
    assert found is not None
    assert found.pictures == 100
    assert found.accuracy == (pytest.approx(0.91), pytest.approx(0.87))
    assert found.mcnemar_p == pytest.approx(0.2890625)  # 2 against 6, two-sided binomial
    own = truth[:100] == MELANOMA
    assert found.sensitivity["melanoma"][0] == pytest.approx(
        (expected["probabilities"][:100][own].argmax(1) == MELANOMA).mean()
    )
    assert _compared(expected, expected, "int8").labelled is None


def test_expected_calibration_error() -> None:
    """Eight answers at 0.75, six of them right, and two at 0.55, none right: 0.8 · 0 + 0.2 · 0.55."""
    probabilities = np.array([[0.75, 0.25]] * 8 + [[0.55, 0.45]] * 2)
    labels = np.array([0] * 6 + [1] * 4)
    assert figures.ece(probabilities, labels) == pytest.approx(0.11)


def test_maps_of_pictures_that_were_not_sent_say_nothing() -> None:
    flat, ramp = np.zeros((1, 2, 2), np.float32), np.arange(4, dtype=np.float32).reshape(1, 2, 2)
    assert figures.correlations({"heatmap": flat}, {"heatmap": flat}) == {}
    assert figures.correlations({"heatmap": flat}, {"heatmap": ramp}) == {"heatmap": 0.0}
    mostly_absent = {"heatmap": np.concatenate([flat, flat, flat, ramp, ramp])}
    turned = {"heatmap": np.concatenate([flat, flat, flat, ramp.T[None, :, :, 0], ramp])}
    assert figures.correlations(mostly_absent, turned)["heatmap"] == pytest.approx(0.9)  # of 0.8 and 1


def test_the_bounds_that_were_asked_for() -> None:
    gate = Gate()
    assert (gate.fp16.largest, gate.fp16.tie, gate.fp16.flips) == (0.01, 0.01, 0.0)
    assert (gate.bf16.largest, gate.bf16.tie, gate.bf16.flips) == (0.03, 0.03, 0.0)
    assert (gate.int8.flips, gate.int8.correlation) == (0.01, 0.95)
    assert {label for spec in all_specs().values() for label in spec.gate.critical} == {
        "melanoma", "mel", "COVID-19", "Malignant", "Tumor",
    }  # fmt: skip


def test_a_spec_cannot_guard_a_class_that_it_has_not() -> None:
    with pytest.raises(ValueError, match="melanomma"):
        replace(SPEC, gate=Gate(critical=("melanomma",), int8=Bounds()))
