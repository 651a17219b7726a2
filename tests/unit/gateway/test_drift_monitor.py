"""A monitor between answers and radiologists: awkward references and inputs, hysteresis, feedback, metrics."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from uuid import uuid4

import msgspec
import numpy as np
import pytest
from prometheus_client import CollectorRegistry, generate_latest
from scipy.stats import binomtest

from gateway.drift import Case, Monitor, Observation
from gateway.drift.alarm import Alarm
from gateway.drift.history import MOST, History
from gateway.drift.performance import wilson
from gateway.drift.state import Point, State
from tests.support.drift_statistics import reference

RANDOM = np.random.default_rng(5)


@pytest.fixture(autouse=True)
def same_draws() -> None:
    """Whichever tests ran before."""
    RANDOM.bit_generator.state = np.random.default_rng(5).bit_generator.state


def item(**numbers: float) -> dict[str, float]:
    """Of one ordinary input."""
    found = {"width": 1024.0, "brightness": RANDOM.normal(140, 20), "confidence": RANDOM.beta(8, 2)}
    return found | numbers


def observation(numbers: Mapping[str, float], label: str = "", version: str = "1") -> Observation:
    statistics = {name: value for name, value in numbers.items() if name != "confidence"}
    figures = {name: value for name, value in numbers.items() if name == "confidence"}
    return Observation(model="m", version=version, statistics=statistics, figures=figures, label=label)


def watching(items: int = 300, labels: tuple[str, ...] = (), registry: CollectorRegistry | None = None) -> Monitor:
    monitor = Monitor(registry=registry)
    monitor.refer("m", reference([item() for _ in range(items)], labels))
    return monitor


def case(prediction: str, truth: str, name: str = "", artefact: str = "") -> Case:
    return Case(id=name or uuid4().hex, artefact=artefact, prediction=prediction, truth=truth)


def told(monitor: Monitor) -> dict:
    """Of the model, through JSON that knows neither NaN nor infinity, in the declared shape."""
    written = json.dumps(monitor.state(), allow_nan=False)
    msgspec.json.decode(written, type=State)
    return json.loads(written)["models"]["m"]


def figure(monitor: Monitor, name: str) -> dict:
    [found] = [figure for figure in told(monitor)["figures"] if figure["name"] == name]
    return found


def test_nobody_was_asked():
    assert Monitor().state()["models"] == {}
    assert told(watching())["window"] == 0


def test_a_model_without_a_reference_says_so_and_shows_its_window():
    monitor = Monitor()
    monitor.refer("m", None)
    for _ in range(60):
        monitor.observe(observation(item(), "normal"))
    found = told(monitor)
    assert found["reference"] is None
    assert not found["alert"]
    assert "no reference was written" in found["notes"][0]
    assert len(figure(monitor, "brightness")["quantiles"]) == 101
    assert figure(monitor, "label")["shares"] == {"normal": 1.0}


def test_a_model_that_nobody_described_is_watched_all_the_same():
    monitor = Monitor()
    monitor.observe(observation(item()))
    assert told(monitor)["window"] == 1


def test_a_reference_that_cannot_be_read_is_logged_and_told(caplog: pytest.LogCaptureFixture):
    monitor = Monitor()
    monitor.refer("m", {"items": 20, "statistics": {"width": [1.0]}})
    for _ in range(60):
        monitor.observe(observation(item()))
    assert "statistics.width: expected 101" in told(monitor)["notes"][0]
    assert "statistics.width" in caplog.text


def test_the_same_reference_again_keeps_the_window_and_another_empties_it():
    written = reference([item() for _ in range(50)])
    monitor = Monitor()
    for times in range(3):
        monitor.refer("m", json.loads(json.dumps(written)))
        monitor.observe(observation(item()))
        assert told(monitor)["window"] == times + 1
    monitor.refer("m", {**written, "items": 51})
    assert told(monitor)["window"] == 0


@pytest.mark.parametrize("items", [1, 2, 20])
def test_small_references_neither_divide_by_zero_nor_alert(items: int):
    monitor = watching(items)
    for _ in range(1000):
        monitor.observe(observation(item()))
        assert not monitor.alert("m")
    assert any("items only" in note for note in told(monitor)["notes"])


def test_twenty_items_tell_gross_drift():
    monitor = watching(20)
    for _ in range(200):
        monitor.observe(observation(item(brightness=RANDOM.normal(20, 2))))
    assert monitor.alert("m")


def test_constant_figures_raise_nothing_until_they_change():
    monitor = watching()
    for _ in range(400):
        monitor.observe(observation(item(width=1024.0)))
    found = figure(monitor, "width")
    assert (found["ks"], found["score"]) == (pytest.approx(0, abs=1e-9), pytest.approx(0, abs=0.05))
    for _ in range(200):
        monitor.observe(observation(item(width=1025.0)))
    assert monitor.alert("m")
    assert "width: median 1025, reference 1024, 100% outside" in told(monitor)["reasons"][0]


def test_missing_numbers_are_left_out_and_said():
    monitor = watching()
    for place in range(200):
        monitor.observe(observation(item(width=math.nan, brightness=140.0 + place if place % 10 == 0 else math.nan)))
    assert not monitor.alert("m")
    assert figure(monitor, "width")["count"] == 0
    assert figure(monitor, "brightness")["count"] == 20
    assert any("width" in note for note in told(monitor)["notes"])


def test_a_left_out_picture_does_not_weaken_what_is_there():
    monitor = watching()
    for place in range(200):
        monitor.observe(observation(item(width=math.nan if place % 2 else 512.0)))
    assert monitor.alert("m")


def test_infinite_and_huge_numbers_are_told_as_json():
    monitor = watching()
    for value in [math.inf, -math.inf, 1e300, -1e300] * 50:
        monitor.observe(observation(item(brightness=value, other=RANDOM.random())))
    assert monitor.alert("m")
    assert told(monitor)


def test_figures_that_the_reference_lacks_are_shown_and_not_compared():
    monitor = watching()
    for _ in range(100):
        monitor.observe(observation(item(new=RANDOM.random())))
    assert figure(monitor, "new")["ks"] is None
    assert not monitor.alert("m")


def test_unseen_labels_raise_it_and_are_named():
    monitor = watching(labels=("normal",) * 200 + ("pneumonia",) * 100)
    for place in range(200):
        monitor.observe(observation(item(), ("normal", "new", "pneumonia")[place % 3]))
    assert monitor.alert("m")
    [reason] = told(monitor)["reasons"]
    assert "new 34% (reference 0%)" in reason or "new 33% (reference 0%)" in reason


def test_labels_in_their_usual_shares_raise_nothing():
    monitor = watching(labels=("normal",) * 200 + ("pneumonia",) * 100)
    for _ in range(1000):
        monitor.observe(observation(item(), RANDOM.choice(["normal", "normal", "pneumonia"])))
        assert not monitor.alert("m")


def test_copies_of_one_input_are_no_evidence_and_are_said():
    monitor = watching()
    same = item(brightness=155.0)
    for _ in range(300):
        monitor.observe(observation({**same, "confidence": RANDOM.random()}))
    assert not monitor.alert("m")
    assert told(monitor)["effective"] == pytest.approx(1)
    assert any("200 of the last 200 inputs are one and the same" in note for note in told(monitor)["notes"])


def test_the_window_forgets():
    monitor = watching()
    for number in range(500):
        monitor.observe(observation(item(width=float(number)), version="1" if number < 400 else "2"))
    found = figure(monitor, "width")
    assert (found["quantiles"][0], found["quantiles"][-1]) == (300, 499)
    assert told(monitor)["effective"] == pytest.approx(200)
    assert told(monitor)["versions"] == {"1": 0.5, "2": 0.5}


def test_one_look_is_no_alert_and_the_line_does_not_flap():
    alarm = Alarm()
    assert [alarm.look(score) for score in (2.0, 0.5, 2.0, 0.99)] == [False] * 4
    assert [alarm.look(score) for score in (1.0, 1.0)] == [False, True]
    assert all(alarm.look(score) for score in (0.9, 1.1, 0.9, 0.7, 0.7, 0.9, 0.7, 0.7))
    assert not alarm.look(0.7)
    assert not alarm.look(5.0)
    assert alarm.look(5.0)


def test_history_reaches_back_and_stays_small():
    history = History()
    for seen in range(100_000):
        history.add(Point(at="", seen=seen, score=0, alert=False, psi={}, ks={}))
        assert len(history.points()) <= MOST + 1
    points = [point.seen for point in history.points()]
    assert points[0] == 0
    assert points[-1] == 99_999
    assert points == sorted(points)


def test_sensitivity_and_specificity_with_wilsons_intervals():
    monitor = watching()
    labels = ("normal", "pneumonia", "covid")
    cases = [("normal", "normal")] * 40 + [("normal", "pneumonia")] * 5 + [("pneumonia", "pneumonia")] * 15
    for prediction, truth in cases:
        monitor.told("m", case(prediction, truth), labels)
    found = told(monitor)["performance"]
    assert (found["count"], found["total"]) == (60, 60)
    sensitivity, specificity = found["sensitivity"]["pneumonia"], found["specificity"]["normal"]
    assert (sensitivity["right"], sensitivity["of"]) == (15, 20)
    assert (specificity["right"], specificity["of"]) == (15, 20)
    interval = binomtest(15, 20).proportion_ci(0.95, "wilson")
    assert (sensitivity["low"], sensitivity["high"]) == (pytest.approx(interval.low), pytest.approx(interval.high))
    assert found["sensitivity"]["covid"] == {"right": 0, "of": 0, "value": None, "low": None, "high": None}


@pytest.mark.parametrize(("right", "of"), [(0, 1), (1, 1), (0, 500), (499, 500), (3, 7)])
def test_wilson_is_scipys(right: int, of: int):
    assert wilson(right, of) == pytest.approx(binomtest(right, of).proportion_ci(0.95, "wilson"), abs=1e-12)


def test_a_label_told_again_is_one_case_and_a_correction_takes_its_place():
    registry = CollectorRegistry()
    monitor = watching(registry=registry)
    for truth in ("a", "a", "b"):
        monitor.told("m", case("b", truth, "one answer"), ("a", "b"))
    found = told(monitor)["performance"]
    assert (found["count"], found["total"], found["accuracy"]["value"]) == (1, 1, 1.0)
    assert registry.get_sample_value("medserve_feedback_total", {"model": "m"}) == 1


def test_feedback_rolls():
    monitor = watching()
    for _ in range(600):
        monitor.told("m", case("a", "b"), ("a", "b"))
    for _ in range(500):
        monitor.told("m", case("b", "b"), ("a", "b"))
    found = told(monitor)["performance"]
    assert (found["count"], found["total"], found["accuracy"]["value"]) == (500, 1100, 1.0)


@pytest.mark.parametrize(("prediction", "truth"), [("a", "secret"), ("secret", "a"), ("", "a")])
def test_labels_that_the_model_lacks_are_refused_and_not_repeated(prediction: str, truth: str):
    monitor = watching()
    with pytest.raises(ValueError, match="expected one of a, b, got another") as refused:
        monitor.told("m", case(prediction, truth), ("a", "b"))
    assert "secret" not in str(refused.value)
    assert told(monitor)["performance"] is None


def test_metrics():
    registry = CollectorRegistry()
    monitor = watching(registry=registry)

    def value(name: str, **labels: str) -> float | None:
        return registry.get_sample_value(name, {"model": "m", **labels})

    assert (value("medserve_drift_reference"), value("medserve_drift_alert")) == (1, 0)
    for _ in range(200):
        monitor.observe(observation(item(brightness=RANDOM.normal(60, 20))))
    monitor.told("m", case("a", "b"), ("a", "b", "c"))
    found = figure(monitor, "brightness")
    assert value("medserve_drift_psi", figure="brightness") == found["psi"] > 0.25
    assert value("medserve_drift_ks", figure="brightness") == found["ks"] > 0.2
    assert (value("medserve_drift_alert"), value("medserve_drift_window")) == (1, 200)
    assert value("medserve_feedback_total") == 1
    assert (value("medserve_sensitivity", label="b"), value("medserve_specificity", label="a")) == (0, 0)
    assert value("medserve_sensitivity", label="c") is None  # no case has it
    monitor.refer("m", None)
    assert (value("medserve_drift_reference"), value("medserve_drift_alert")) == (0, 0)
    assert value("medserve_drift_psi", figure="brightness") is None
    assert b"nan" not in generate_latest(registry).lower()


def test_what_was_said_before_the_start_counts_and_what_was_said_since_stands():
    registry = CollectorRegistry()
    monitor = watching(registry=registry)
    monitor.told("m", case("b", "b", "shared"), ("a", "b"))
    earlier = [("m", case("a", "a" if n % 4 else "b")) for n in range(20)]
    monitor.remember([*earlier, ("m", case("b", "a", "shared")), ("m", case("gone", "a")), ("away", case("a", "a"))])
    assert monitor.state()["models"]["m"]["performance"]["count"] == 1  # which labels there are is not known yet
    for _ in range(2):
        monitor.refer("m", None, ("a", "b"))
        found = monitor.state()["models"]["m"]["performance"]
        assert (found["count"], found["total"]) == (21, 21)
        assert (found["sensitivity"]["a"]["right"], found["sensitivity"]["a"]["of"]) == (15, 15)
        assert (found["sensitivity"]["b"]["right"], found["sensitivity"]["b"]["of"]) == (1, 6)
    assert registry.get_sample_value("medserve_sensitivity", {"model": "m", "label": "b"}) == pytest.approx(1 / 6)
    assert registry.get_sample_value("medserve_feedback_total", {"model": "m"}) == 1  # of this process
    for number in range(500):
        monitor.told("m", case("a", "a", f"new {number}"), ("a", "b"))
    found = monitor.state()["models"]["m"]["performance"]
    assert (found["count"], found["total"]) == (500, 521)
    assert found["sensitivity"]["b"]["of"] == 0
    assert "away" not in monitor.state()["models"]


def test_a_network_that_was_exchanged_takes_its_figures_with_it():
    """Or the new one would be shown with the old one's sensitivity."""
    registry = CollectorRegistry()
    monitor = watching(registry=registry)

    def sensitivity(label: str) -> float | None:
        return registry.get_sample_value("medserve_sensitivity", {"model": "m", "label": label})

    monitor.told("m", case("a", "a", artefact="old"), ("a", "b"))
    monitor.remember([("m", case("b", "b", artefact="old")), ("m", case("b", "a", artefact="older"))])
    monitor.refer("m", None, ("a", "b"), {"old", "old, in eight bits"})
    assert (told(monitor)["performance"]["count"], sensitivity("a"), sensitivity("b")) == (2, 1, 1)
    monitor.refer("m", None, ("a", "b"), {"new"})
    assert (told(monitor)["performance"], sensitivity("a"), sensitivity("b")) == (None, None, None)
    monitor.told("m", case("b", "a", artefact="new"), ("a", "b"))
    monitor.refer("m", None, ("a", "b"), {"new"})
    assert (told(monitor)["performance"]["count"], sensitivity("a"), sensitivity("b")) == (1, 0, None)
    monitor.refer("m", None, ("a", "c"), {"new"})  # nobody was called b
    assert (told(monitor)["performance"], sensitivity("a")) == (None, None)


def test_two_monitors_in_one_process_and_an_impossible_window():
    Monitor(), Monitor()
    with pytest.raises(ValueError, match="at least 1"):
        Monitor(0)


def test_models_are_apart():
    monitor = watching()
    monitor.refer("other", reference([item() for _ in range(300)]))
    for _ in range(200):
        monitor.observe(observation(item(width=1.0)))
    assert monitor.alert("m")
    assert not monitor.alert("other")
    assert monitor.state()["alert"]
