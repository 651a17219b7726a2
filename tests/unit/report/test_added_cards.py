"""Cards that are added to a repository while it is served."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from report.answer import Reporter, UnknownFingerprint
from report.card import AddedCards, Artefact, Calibration, Card, WeightsOrigin
from report.comparison import PictureSet
from report.declaration import Declaration


def _write(repository: Path, model: str, fingerprint: tuple[int, int]) -> Card:
    artefact = Artefact(
        sha256=model, size_bytes=1, precision="fp32", opset=18, fingerprint=fingerprint, comparisons=(), tools={},
        created="",
    )  # fmt: skip
    card = Card(
        model=model,
        version="1",
        declaration=Declaration(task="", summary_fields=("log_s",), intended_use="", disclaimer="", claim=""),
        weights=WeightsOrigin(trained=True),
        calibration=Calibration(),
        recipe="",
        compared=PictureSet(source="", synthetic=True, sha256=()),
        artefacts={"fp32.onnx": artefact},
    )
    folder = repository / model / "1"
    folder.mkdir(parents=True, exist_ok=True)
    card.write(folder)
    return card


def test_backend_is_what_the_config_says(tmp_path: Path) -> None:
    (tmp_path / "lung_net").mkdir()
    text = 'name: "lung_net"\nmodel_warmup {\n  name: "backend: \\"x\\""\n}\nbackend: "tensorrt"\n'
    (tmp_path / "lung_net" / "config.pbtxt").write_text(text, "utf-8")
    cards = AddedCards(tmp_path)
    assert [cards.backend(net) for net in ("lung_net", "skin_net", "")] == ["tensorrt", "", ""]


def test_each_card_is_read_once(tmp_path: Path) -> None:
    cards = AddedCards(tmp_path)
    assert cards.read() == []
    first = _write(tmp_path, "b", (1, 1))
    assert cards.read() == [first]
    _write(tmp_path, "b", (9, 9))  # replaced: what is loaded is still the first
    second = _write(tmp_path, "a", (2, 2))
    assert cards.read() == [second]
    assert cards.read() == []


def test_a_report_finds_the_card_of_a_model_that_was_added_later(tmp_path: Path) -> None:
    cards = AddedCards(tmp_path)
    _write(tmp_path, "first", (1, 1))
    reporter = Reporter(cards.read(), "1", added=cards.read)
    with pytest.raises(UnknownFingerprint):
        reporter.report(np.float32([2, 2, 0.5]))
    _write(tmp_path, "second", (2, 2))
    assert '"model":"second"' in reporter.report(np.float32([2, 2, 0.5]))
    assert '"model":"first"' in reporter.report(np.float32([1, 1, 0.5]))
