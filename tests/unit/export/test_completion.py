"""An export in FP32 alone, completed later."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from export import to_onnx
from export.artefact import ARTEFACT, folder_of
from export.models import all_specs
from export.publish import Order, publish, stale

FP32 = Order(precisions=("fp32",))
SPEC = replace(min(all_specs().values(), key=lambda spec: spec.parameters), shipped=None)


def test_a_completed_export_keeps_the_fp32_file_and_attempts_the_rest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = folder_of(SPEC, tmp_path)
    folder.mkdir(parents=True)
    (folder / ".export-killed").mkdir()
    first = publish(SPEC, tmp_path, FP32)
    assert set(first.artefacts) == {ARTEFACT}
    assert first.refused == {}
    assert sorted(path.name for path in folder.iterdir()) == ["card.json", ARTEFACT]
    assert stale(SPEC, tmp_path, FP32) == ""
    assert stale(SPEC, tmp_path, Order()) == "not exported in fp16, int8"

    monkeypatch.setattr(to_onnx, "export_onnx", lambda *_: pytest.fail("traced again"))
    second = publish(SPEC, tmp_path, Order(keep_fp32=True))
    assert second.artefacts[ARTEFACT].sha256 == first.artefacts[ARTEFACT].sha256
    assert second.artefacts[ARTEFACT].fingerprint == first.artefacts[ARTEFACT].fingerprint
    assert second.artefacts[ARTEFACT].comparisons == first.artefacts[ARTEFACT].comparisons
    assert set(second.artefacts) | set(second.refused) == {ARTEFACT, "fp16.onnx", "int8.onnx", "int8_cpu.onnx"}
    assert stale(SPEC, tmp_path, Order()) == ""
    assert stale(SPEC, tmp_path, FP32) == ""
