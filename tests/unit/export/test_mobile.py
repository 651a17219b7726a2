"""Files for apps: TorchScript that answers as PyTorch does, and INT8 where it has anything to lower."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from export.mobile import mobile
from export.publish import Order
from export.spec import Bounds
from tests.support.specs import LARGE, affordable_specs, tiny_specs

SPECS = tiny_specs()


@pytest.mark.parametrize("name", ["pneumonia_cnn", "solubility", "brain_fusion"])
def test_fp32_passes_and_int8_says_why_not(name: str, tmp_path: Path) -> None:
    spec = SPECS[name]
    fp32, int8 = mobile(spec, tmp_path, Order(), tmp_path / "out")
    assert fp32.why == ()
    assert fp32.comparisons[0].engine == "torchscript"
    assert max(fp32.comparisons[0].max_error.values()) <= 1e-3
    assert "no Linear layer" in int8.why[0] or int8.why[0].startswith("unsupported: measured on")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["fp32.pt", "report.json"]
    assert json.loads((tmp_path / "out" / "report.json").read_text())["fp32.pt"][1][0]["samples"] == spec.gate.samples


def test_a_transformer_is_lowered(tmp_path: Path) -> None:
    spec = affordable_specs()[LARGE]
    fp32, int8 = mobile(spec, tmp_path, Order(), tmp_path / "refused")
    assert fp32.why == ()
    assert "int8 on torchscript: mel: expected PyTorch to call it in at least 10 real pictures" in int8.why[0]
    fp32, int8 = mobile(replace(spec, gate=replace(spec.gate, critical=())), tmp_path, Order(), tmp_path / "out")
    assert fp32.why == int8.why == ()
    assert int8.comparisons[0].precision == "int8"
    assert int8.comparisons[0].max_error["probabilities"] > 0
    assert int8.path.stat().st_size < 0.9 * fp32.path.stat().st_size
    assert len(torch.jit.load(str(int8.path))(torch.zeros((1, 3, 896, 896), dtype=torch.uint8))) == 8


def test_what_the_gate_refuses_is_not_left_behind(tmp_path: Path) -> None:
    spec = SPECS["pneumonia_cnn"]
    strict = replace(spec, gate=replace(spec.gate, fp32=Bounds(largest=0.0)))
    fp32, _ = mobile(strict, tmp_path, Order(), tmp_path / "out")
    assert "fp32 on torchscript" in fp32.why[0]
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["report.json"]
