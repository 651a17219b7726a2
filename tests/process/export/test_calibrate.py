"""Temperatures: fitted, measured on pictures that they were not fitted to, kept, and never changing a label."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from export.calibrate import _check_alerts, _softmax, calibrate, cross_validated, fit_temperature, nll, read_labelled
from export.figures import ece
from export.models import all_specs
from export.publish import Order, kept_calibration, publish
from export.samples import net_inputs, picture, pictures_below
from report.card import Card, WeightsOrigin
from tests.support.checkout import ROOT
from tests.support.samples import SampleData

SPEC = all_specs()["pneumonia_cnn"]


def _overconfident(count: int = 600, factor: float = 3.0) -> tuple[np.ndarray, np.ndarray]:
    """Logits whose true temperature is `factor`, and labels drawn from the true probabilities."""
    random = np.random.default_rng(0)
    true = random.normal(0, 1.5, (count, 4))
    chances = np.exp(true) / np.exp(true).sum(1, keepdims=True)
    labels = np.array([random.choice(4, p=p) for p in chances])
    return true * factor, labels


def test_a_known_temperature_is_found() -> None:
    logits, labels = _overconfident()
    assert fit_temperature(logits, labels) == pytest.approx(3.0, rel=0.15)
    best = nll(logits / fit_temperature(logits, labels), labels)
    assert all(best <= nll(logits / t, labels) + 1e-9 for t in np.geomspace(0.1, 20, 200))


def test_calibration_lowers_nll_and_ece_of_pictures_it_has_not_seen() -> None:
    logits, labels = _overconfident()
    held_out = cross_validated(logits, labels)
    assert nll(held_out, labels) < nll(logits, labels)
    assert ece(_softmax(held_out), labels) < 0.5 * ece(_softmax(logits), labels)
    assert (held_out.argmax(1) == logits.argmax(1)).all()


def test_ece_by_hand() -> None:
    probabilities = np.array([[0.9, 0.1], [0.9, 0.1], [0.2, 0.8], [0.2, 0.8]])
    logits = np.log(probabilities)
    assert ece(probabilities, np.array([0, 1, 1, 1])) == pytest.approx(0.5 * abs(0.9 - 0.5) + 0.5 * abs(0.8 - 1.0))
    assert nll(logits, np.array([0, 1, 1, 1])) == pytest.approx(-np.log([0.9, 0.1, 0.8, 0.8]).mean())


def _folders(root: Path, **counts: int) -> Path:
    for name, count in counts.items():
        (root / name).mkdir(parents=True)
        for seed in range(count):
            (root / name / f"{seed}.png").write_bytes(picture(seed))
    return root


def test_folders_are_labels(tmp_path: Path) -> None:
    labelled = read_labelled(SPEC, _folders(tmp_path, normal=12, Pneumonia=11), {})
    assert labelled.labels.tolist() == [1] * 11 + [0] * 12
    assert read_labelled(SPEC, tmp_path, {"normal": "PNEUMONIA", "Pneumonia": "NORMAL"}).labels.tolist() == [
        *[0] * 11, *[1] * 12,
    ]  # fmt: skip
    (tmp_path / "covid").mkdir()
    with pytest.raises(ValueError, match="covid: expected a folder named like one of NORMAL, PNEUMONIA"):
        read_labelled(SPEC, tmp_path, {})
    assert len(read_labelled(SPEC, tmp_path, {"normal": "NORMAL", "Pneumonia": "PNEUMONIA"}).files) == 23
    with pytest.raises(ValueError, match="expected the folders gone"):
        read_labelled(SPEC, tmp_path, {"gone": "NORMAL"})


@pytest.mark.parametrize(
    ("counts", "words"), [({"normal": 3, "pneumonia": 3}, "at least 20"), ({"normal": 30}, "of 1")]
)
def test_too_few_pictures_are_refused(tmp_path: Path, counts: dict[str, int], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        read_labelled(SPEC, _folders(tmp_path, **counts), {})


def test_untrained_weights_and_other_kinds_of_model_are_refused(tmp_path: Path) -> None:
    _folders(tmp_path, normal=12, pneumonia=12)
    with pytest.raises(ValueError, match="expected trained weights"):
        calibrate(SPEC, None, tmp_path, {})
    for name in ("solubility", "brain_fusion"):
        with pytest.raises(ValueError, match="expected a classifier of one picture"):
            calibrate(all_specs()[name], None, tmp_path, {})


def _probabilities(file: Path, pixels: np.ndarray) -> np.ndarray:
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    return np.concatenate([session.run(["probabilities"], {"pixels": part[None]})[0] for part in pixels])


def _some(films: Path, folder: Path) -> Path:
    """A few of the labels that are asked for, and fewer of others: all of them take two minutes."""
    for label in sorted(path for path in films.iterdir() if path.is_dir()):
        (folder / label.name).mkdir(parents=True)
        for film in pictures_below(label)[: 20 if label.name in ("normal", "pneumonia") else 2]:
            (folder / label.name / film.name).symlink_to(film)
    return folder


@pytest.mark.slow
def test_a_sample_checkpoint_is_calibrated(sample_data: SampleData, checkpoints: Path | None, tmp_path: Path) -> None:
    if checkpoints is None:
        pytest.skip("needs the sample checkpoints")
    films = _some(sample_data.folder / "data" / "cxr", tmp_path / "films")
    repository = tmp_path / "repository"
    before = publish(SPEC, repository, Order(checkpoint=checkpoints / SPEC.weights.filename))
    folder = repository / SPEC.net / "1"
    shutil.copy(folder / "fp32.onnx", tmp_path / "before.onnx")
    command = [sys.executable, "-m", "export", "calibrate", SPEC.name, "--images", str(films)]
    command += ["--folders", "normal=NORMAL,pneumonia=PNEUMONIA", "--checkpoints", str(checkpoints)]
    result = subprocess.run(
        [*command, "--repository", str(repository)], cwd=ROOT, capture_output=True, text=True, check=True
    )
    print(result.stdout)
    card = Card.read(folder / "card.json")
    fit = card.calibration.fit
    assert fit is not None
    assert (fit.images, fit.source, len(set(fit.sha256))) == (40, "films", 40)
    assert fit.nll_after < fit.nll_before
    assert fit.ece_after < fit.ece_before
    assert f"temperature {card.calibration.temperature:.4f}" in result.stdout
    assert before.artefacts["fp32.onnx"].fingerprint != card.artefacts["fp32.onnx"].fingerprint
    pixels = net_inputs(SPEC.step, [file.read_bytes() for file in pictures_below(films)])["pixels"]
    plain, calibrated = (_probabilities(file, pixels) for file in (tmp_path / "before.onnx", folder / "fp32.onnx"))
    assert len(pixels) == 44
    assert (plain.argmax(1) == calibrated.argmax(1)).all()
    assert np.abs(plain - calibrated).max() > 0.01
    # An export for another reason keeps the temperature; another checkpoint does not.
    again = publish(SPEC, repository, Order(checkpoint=checkpoints / SPEC.weights.filename))
    assert again.calibration == card.calibration
    assert publish(SPEC, repository, Order()).calibration.fit is None


def test_a_temperature_that_loses_a_melanoma_is_refused() -> None:
    """At T = 0.5 a melanoma's 0.22 beside 0.62 falls below the operating point of 0.2, and no label changes."""
    spec = all_specs()["skin_lesion"]
    melanoma, nevus = spec.labels.index("melanoma"), spec.labels.index("nevus")
    chances = np.full((1, 9), 0.16 / 7)
    chances[0, melanoma], chances[0, nevus] = 0.22, 0.62
    with pytest.raises(ValueError, match="1 pictures of melanoma fall below"):
        _check_alerts(spec, np.log(chances), np.array([melanoma]), 0.5)
    _check_alerts(spec, np.log(chances), np.array([nevus]), 0.5)
    _check_alerts(spec, np.log(chances), np.array([melanoma]), 2.0)


@pytest.mark.parametrize("content", ["{", "[]", '{"weights": {"checkpoint_sha256": "ab"}}'])
def test_a_damaged_card_is_no_leave_to_forget_a_temperature(tmp_path: Path, content: str) -> None:
    card = tmp_path / "card.json"
    weights = WeightsOrigin(trained=True, checkpoint_sha256="ab")
    assert kept_calibration(card, weights).temperature == 1.0
    card.write_text(content)
    with pytest.raises(ValueError, match="expected a card with a calibration"):
        kept_calibration(card, weights)
    card.write_text('{"weights": {"checkpoint_sha256": "ab"}, "calibration": {"temperature": 0.0}}')
    with pytest.raises(ValueError, match="expected more than 0"):
        kept_calibration(card, weights)
    card.write_text('{"weights": {"checkpoint_sha256": "cd"}, "calibration": {"temperature": 3.0}}')
    assert kept_calibration(card, weights).temperature == 1.0
