"""What may be served faster: only what passed here, and only if it is faster."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from export import tune
from export.artefact import folder_of
from export.models import all_specs
from export.spec import ModelSpec
from report.card import Card
from report.comparison import Comparison
from server.machine import cpu_features
from tests.support.repositories import copy_repository

CNN = all_specs()["pneumonia_cnn"]
FP32 = ("fp32.onnx", "onnxruntime")
BF16 = ("fp32.onnx", "openvino")


@pytest.fixture(scope="module")
def repository(tiny_repository: Path) -> Path:
    """Tiny networks: nothing below judges accuracy or size."""
    return tiny_repository


def _card(spec: ModelSpec, repository: Path, *comparisons: Comparison, anyway: str = "") -> Card:
    card = Card.read(folder_of(spec, repository) / "card.json")
    artefact = replace(card.artefacts["fp32.onnx"], comparisons=comparisons, published_anyway=anyway)
    return replace(card, artefacts={"fp32.onnx": artefact}, choice=None)


def _bf16(refused: tuple[str, ...] = (), cpu: tuple[str, ...] | None = None) -> Comparison:
    return Comparison(
        engine="openvino",
        precision="bf16",
        samples=8,
        cpu=cpu_features() if cpu is None else cpu,
        max_error={"probabilities": 0.01},
        mean_error={"probabilities": 0.001},
        refused=refused,
    )


def test_what_was_refused_is_no_candidate(repository: Path) -> None:
    assert set(tune.candidates(_card(CNN, repository, _bf16()))) == {FP32, BF16}
    refused = _card(CNN, repository, _bf16(refused=("flips",)))
    assert set(tune.candidates(refused)) == {FP32}


def test_what_somebody_published_anyway_is_a_candidate(repository: Path) -> None:
    card = _card(CNN, repository, _bf16(refused=("flips",)), anyway="for a demonstration")
    assert BF16 in tune.candidates(card)


def test_what_was_compared_on_another_cpu_is_no_candidate(repository: Path) -> None:
    assert set(tune.candidates(_card(CNN, repository, _bf16(cpu=("abacus",))))) == {FP32}


def test_what_does_not_run_is_no_candidate_even_if_published_anyway(repository: Path) -> None:
    broken = replace(_bf16(refused=("openvino does not run it",)), max_error={})
    assert set(tune.candidates(_card(CNN, repository, broken, anyway="because"))) == {FP32}


def test_fp16_is_not_for_cpus(repository: Path) -> None:
    card = Card.read(folder_of(CNN, repository) / "card.json")
    assert "fp16.onnx" in card.artefacts
    assert all(name != "fp16.onnx" for name, _ in tune.candidates(card))


@pytest.mark.parametrize(
    ("slow", "fast", "chosen"), [(1.5, 2.0, BF16), (0.9, 3.0, FP32), (1.01, 1.02, FP32), (1.0, 1.3, BF16)]
)
def test_the_fastest_is_chosen_and_none_that_is_slower_anywhere(
    repository: Path, monkeypatch: pytest.MonkeyPatch, slow: float, fast: float, chosen: tuple[str, str]
) -> None:
    monkeypatch.setattr(tune, "load", lambda *_: None)
    monkeypatch.setattr(
        tune, "_speeds", lambda _spec, _engines, batch, _rounds, _clock: {FP32: 1.0, BF16: slow if batch == 1 else fast}
    )
    card = _card(CNN, repository, _bf16())
    choice = tune.fastest(CNN, folder_of(CNN, repository), card, 1)
    assert (choice.artefact, choice.engine) == chosen
    assert choice.precision == ("bf16" if chosen == BF16 else "fp32")
    assert choice.speeds["fp32.onnx openvino"] == {1: slow, 8: fast}


def test_a_choice_goes_with_the_files_it_was_made_of(repository: Path, tmp_path: Path) -> None:
    from export.publish import Order, publish

    own = copy_repository(repository, tmp_path / "repository")
    spec = all_specs()["solubility"]
    profile = own / spec.net / "configs" / "cpu.pbtxt"
    tune.tune(spec, own, rounds=1)
    assert profile.is_file()
    publish(spec, own, Order())
    assert not profile.exists()
    assert Card.read(folder_of(spec, own) / "card.json").choice is None
