"""Readable cards: everything a reader must know stands in them, and claims are marked as claims."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from export.artefact import WEIGHTS, shipped_sha256
from export.card import declaration
from export.model_card import MEASURED, measured, texts
from export.spec import ModelSpec
from report.card import cards_below
from tests.support.checkout import ROOT
from tests.support.specs import affordable_specs

SPECS = affordable_specs()


@pytest.fixture(scope="module")
def repository(tiny_repository: Path) -> Path:
    """Tiny networks: nothing below judges accuracy or size."""
    return tiny_repository


def _texts(folder: Path) -> dict[str, str]:
    return texts({name: declaration(spec) for name, spec in SPECS.items()}, folder)


@pytest.mark.parametrize("spec", SPECS.values(), ids=lambda spec: spec.name)
def test_a_card_says_what_a_reader_must_know(spec: ModelSpec, tmp_path: Path) -> None:
    text = _texts(tmp_path)[f"{spec.name}.md"]
    assert spec.disclaimer in text
    assert spec.intended_use in text
    assert f"*Their claim, checked by nobody here:* {spec.claim}" in text
    assert all(label in text for label in spec.labels)
    assert all(f"`{output.name}`" in text for output in spec.outputs)
    assert all(limit in text for limit in spec.limits)
    assert "Nothing yet." in text


def test_what_was_measured_is_recorded_and_rendered(repository: Path, tmp_path: Path) -> None:
    (tmp_path / MEASURED).write_bytes(measured(cards_below(repository)))
    found = _texts(tmp_path)
    assert "0 labels flipped" in found["chest_xray.md"]
    assert "**untrained** (random, seed 0)" in found["brain_ct.md"]
    assert "`solubility.safetensors`" in found["solubility.md"]
    assert "trained in this repository" in found["solubility.md"]


def test_the_committed_cards_are_the_generated_ones(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "export", "cards", "--check", "--folder"]
    assert subprocess.run([*command, str(ROOT / "docs" / "models")], cwd=ROOT).returncode == 0
    result = subprocess.run([*command, str(tmp_path / "empty")], cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 1
    assert "chest_xray.md: not what the specs generate" in result.stderr


@pytest.mark.parametrize("spec", [spec for spec in SPECS.values() if spec.weights.filename], ids=lambda spec: spec.name)
def test_a_committed_card_has_numbers(spec: ModelSpec) -> None:
    assert "| `" in (ROOT / "docs" / "models" / f"{spec.name}.md").read_text().split("## Measured here")[1]


def test_shipped_figures_are_the_training_runs() -> None:
    shipped = SPECS["solubility"].shipped
    assert shipped is not None
    run = json.loads((WEIGHTS / shipped.file).with_suffix(".json").read_text())
    assert shipped_sha256(shipped) == run["weights_sha256"]
    over = run["over_random_splits"]
    said = [f"{over['ensemble'][name][part]:.3f}" for name in ("r2", "rmse", "mae") for part in ("mean", "sd")]
    said += [f"{over['interval']['coverage'][part]:.3f}" for part in ("mean", "sd")]
    for split in (run["scaffold_split"], run["random_splits"][run["shipped"]["random_split"]]):
        test = split["test"]
        said += [f"{test['ensemble'][name]:.3f}" for name in ("r2", "rmse")]
        said.append(f"{test['interval']['coverage']:.3f}")
    assert re.findall(r"0\.\d{3}", shipped.figures) == said
