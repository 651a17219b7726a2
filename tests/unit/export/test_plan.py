"""What a plan is called, who may load it, and whether it is what was asked for: no TensorRT here."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

from export.models import all_specs
from export.plans.check import Found, Layer, check_precision, check_tensors, counts, inspected
from export.plans.plan import COMPUTE_CAPABILITIES, EngineError, check_served_by, plan_name, write_whole
from export.plans.shapes import Range, batch_range, ranges
from preprocess.molecule import BUCKETS
from tests.support import tiny_onnx as tiny


def test_plans_are_named_by_compute_capability() -> None:
    assert plan_name("9.0") == "sm90.plan"
    assert plan_name("12.1") == "sm121.plan"
    assert len({plan_name(capability) for capability in COMPUTE_CAPABILITIES}) == len(COMPUTE_CAPABILITIES)


@pytest.mark.parametrize("wrong", ["90", "9", "9.", ".0", "sm90", "9.0.1", "0.9", ""])
def test_what_is_no_compute_capability_is_refused(wrong: str) -> None:
    with pytest.raises(ValueError, match=r"expected major\.minor as in '9\.0', got"):
        plan_name(wrong)


@pytest.mark.parametrize("server", ["10.12.0.36", "10.12.0"])
def test_a_plan_serves_its_own_version(server: str) -> None:
    check_served_by("tensorrt 10.12.0.36", server)


@pytest.mark.parametrize("server", ["10.12.0.37", "10.12.1", "10.13.0", "11.12.0.36"])
def test_a_plan_of_another_version_is_refused(server: str) -> None:
    with pytest.raises(EngineError, match=rf"expected one built by the server's TensorRT {server}, got 10\.12\.0\.36"):
        check_served_by("tensorrt 10.12.0.36", server)


def test_a_plan_of_another_library_is_refused() -> None:
    with pytest.raises(EngineError, match=r"expected one built by tensorrt 1\.7\.1, got tensorrt_rtx 1\.7\.1\.116"):
        check_served_by("tensorrt_rtx 1.7.1.116", "1.7.1")


@pytest.mark.parametrize(("library", "server"), [("tensorrt 10", "10.12.0"), ("tensorrt 10.12.0", "26.11"), ("", "")])
def test_what_is_no_version_is_refused(library: str, server: str) -> None:
    with pytest.raises(ValueError, match="TensorRT version: expected numbers"):
        check_served_by(library, server)


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_an_interrupted_write_leaves_what_was_there(call: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(*{"fsync": (os, "fsync"), "replace": (Path, "replace")}[call], interrupted)
    for before in (None, b"the old plan"):
        if before:
            (tmp_path / "sm90.plan").write_bytes(before)
        with pytest.raises(KeyboardInterrupt):
            write_whole(tmp_path / "sm90.plan", b"half")
        assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == (
            {"sm90.plan": before} if before else {}
        )


def test_a_write_replaces_the_file(tmp_path: Path) -> None:
    for content in (b"one", b"two"):
        write_whole(tmp_path / "sm90.plan", memoryview(content))
        assert [file.read_bytes() for file in tmp_path.iterdir()] == [content]


def test_shapes_are_the_specs() -> None:
    specs = all_specs()
    for spec in specs.values():
        smallest, optimal, largest = batch_range(spec)
        assert (smallest, largest) == (1, spec.max_batch)
        assert optimal == min(8, spec.max_batch)
        for tensor in spec.step.outputs:
            shape = ranges(spec)[tensor.name]
            assert len(shape.smallest) == len(shape.optimal) == len(shape.largest) == 1 + len(tensor.dims)
            assert (shape.smallest[0], shape.optimal[0], shape.largest[0]) == (smallest, optimal, largest)
    largest_pictures = [r.largest for spec in specs.values() for r in ranges(spec).values() if r.largest[-1] == 896]
    assert largest_pictures == [(4, 3, 896, 896)]


def test_dynamic_sizes_are_the_buckets_of_the_step() -> None:
    (spec,) = (spec for spec in all_specs().values() if any(-1 in tensor.dims for tensor in spec.step.outputs))
    assert (min(BUCKETS), sorted(BUCKETS)[1], max(BUCKETS)) == (32, 64, 256)
    assert ranges(spec) == {
        "atoms": Range(smallest=(1, 32, 15), optimal=(8, 64, 15), largest=(64, 256, 15)),
        "bonds": Range(smallest=(1, 32, 32), optimal=(8, 64, 64), largest=(64, 256, 256)),
        "mask": Range(smallest=(1, 32), optimal=(8, 64), largest=(64, 256)),
    }
    lost = replace(spec, step=replace(spec.step, function="preprocess.image:images_to_pixels"))
    with pytest.raises(ValueError, match=r"expected preprocess\.image\.BUCKETS"):
        ranges(lost)


def _layers(**number: int) -> list[Layer]:
    """CONVOLUTION_FP16=3 → three such layers."""
    kinds = {name: name.rsplit("_", 1) for name in number}
    return [
        Layer(name=f"{name}{index}", type=kinds[name][0], precision=kinds[name][1])
        for name, count in number.items()
        for index in range(count)
    ]


RIGHT = [
    ("fp32", {"CONVOLUTION_FP32": 3, "SHAPE_INT64": 2, "CAST_UINT8": 1}),
    ("fp16", {"CONVOLUTION_FP16": 8, "MATRIX_MULTIPLY_FP32": 2, "CAST_FP32": 9}),
    ("fp16", {"EINSUM_FP16": 1}),
    ("int8", {"CONVOLUTION_INT8": 5, "CONVOLUTION_FP32": 5, "MATRIX_MULTIPLY_FP32": 20}),
    ("int8", {"DECONVOLUTION_INT8": 1, "CONVOLUTION_FP16": 1, "QUANTIZE_INT8": 3, "CAST_BF16": 1}),
    ("int8", {"MATRIX_MULTIPLY_INT8": 2, "MATRIX_MULTIPLY_FP32": 2}),
]
WRONG = [
    ("fp32", {"CONVOLUTION_FP32": 9, "CONVOLUTION_BF8": 1}),
    ("fp32", {"CONVOLUTION_FP32": 9, "ACTIVATION_FP16": 1}),
    ("fp32", {"CONVOLUTION_FP32": 9, "QUANTIZE_INT8": 1}),
    ("fp32", {"CONVOLUTION_FP32": 9, "CAST_BF16": 1}),
    ("fp32", {"CONVOLUTION_FP32": 9, "CAST_FP8": 1}),
    ("fp16", {"CONVOLUTION_FP16": 7, "MATRIX_MULTIPLY_FP32": 2}),
    ("fp16", {"CONVOLUTION_FP16": 9, "QUANTIZE_INT8": 1}),
    ("fp16", {"CONVOLUTION_FP16": 9, "CAST_BF16": 1}),
    ("int8", {"CONVOLUTION_INT8": 4, "CONVOLUTION_FP32": 5}),
    ("int8", {"CONVOLUTION_FP32": 1, "MATRIX_MULTIPLY_INT8": 9}),
    ("int8", {"CONVOLUTION_INT8": 9, "CONVOLUTION_FP8": 1}),
    ("int8", {"MATRIX_MULTIPLY_INT8": 1, "MATRIX_MULTIPLY_FP16": 2}),
    *((asked, {"SHAPE_INT64": 2}) for asked in ("fp32", "fp16", "int8")),
]


@pytest.mark.parametrize(("asked", "number"), RIGHT)
def test_layers_of_the_precision_asked_for_pass(asked: str, number: dict[str, int]) -> None:
    check_precision("a.onnx", _layers(**number), asked)


@pytest.mark.parametrize(("asked", "number"), WRONG)
def test_layers_of_another_precision_are_refused(asked: str, number: dict[str, int]) -> None:
    with pytest.raises(EngineError, match=rf"^a\.onnx: precision: expected {asked}, got .* offending, first: "):
        check_precision("a.onnx", _layers(**number), asked)


def test_the_refusal_counts_and_names_the_first_layers() -> None:
    with pytest.raises(EngineError) as refused:
        check_precision("a.onnx", _layers(CONVOLUTION_FP16=2, CONVOLUTION_FP32=7, MATRIX_MULTIPLY_FP16=1), "fp16")
    assert "got 2 CONVOLUTION FP16, 7 CONVOLUTION FP32, 1 MATRIX_MULTIPLY FP16; 7 offending" in str(refused.value)
    assert "CONVOLUTION_FP324 (CONVOLUTION FP32)" in str(refused.value)
    assert "CONVOLUTION_FP325" not in str(refused.value)


def test_layers_that_multiply_are_counted() -> None:
    found = counts(_layers(MATRIX_MULTIPLY_FP32=1, CONVOLUTION_INT8=2, CONVOLUTION_FP32=3, ACTIVATION_FP32=9))
    assert found == {"CONVOLUTION": {"FP32": 3, "INT8": 2}, "MATRIX_MULTIPLY": {"FP32": 1}}


PIXELS = Found(name="pixels", dtype="UINT8", dims=(-1, 3, 16, 16))
PROBABILITIES = Found(name="probabilities", dtype="FP32", dims=(-1, 2))
SUMMARY = Found(name="summary", dtype="FP32", dims=(-1, 5))


def test_tensors_of_the_spec_pass_in_any_order() -> None:
    check_tensors("a.onnx", tiny.spec(), [PIXELS], [SUMMARY, PROBABILITIES])


def test_every_difference_of_tensors_is_listed() -> None:
    inputs = [replace(PIXELS, dtype="FP32"), replace(PIXELS, name="more")]
    outputs = [replace(PROBABILITIES, dims=(1, 2)), replace(SUMMARY, name="sum")]
    with pytest.raises(EngineError) as refused:
        check_tensors("a.onnx", tiny.spec(), inputs, outputs)
    for part in (
        "input more: expected none, got UINT8 [-1, 3, 16, 16]; ",
        "input pixels: expected UINT8 [-1, 3, 16, 16], got FP32 [-1, 3, 16, 16]; ",
        "output probabilities: expected FP32 [-1, 2], got FP32 [1, 2]; ",
        "output sum: expected none, got FP32 [-1, 5]; ",
        "output summary: expected FP32 [-1, 5], got none. Export tiny again",
    ):
        assert part in str(refused.value)


def _layer(kind: str, told: dict[str, str], **more: object) -> dict[str, object]:
    return {"Name": "conv1 + relu1", "LayerType": kind, "Inputs": [{"Name": "x", **told}], "Outputs": [], **more}


TEN, ELEVEN = "Format/Datatype", "Datatype"
CONVOLVING = {"ParameterType": "Convolution"}
INSPECTED = [
    (_layer("CaskConvolution", {TEN: "Half"}), ("CONVOLUTION", "FP16")),
    (_layer("CaskConvolution", {TEN: "Thirty-two wide channel vectorized row major Int8 format"}), "INT8"),
    (_layer("CaskConvolution", {TEN: "Row major linear FP32"}), "FP32"),
    (_layer("conv", {ELEVEN: "Half", "Format": "Channel major"}), ("CONVOLUTION", "FP16")),
    (_layer("gemm", {ELEVEN: "BFloat16"}), ("MATRIX_MULTIPLY", "BF16")),
    (_layer("einsum", {ELEVEN: "Int8"}), ("MATRIX_MULTIPLY", "INT8")),
    (_layer("_mha_v2", {ELEVEN: "Float"}), ("MATRIX_MULTIPLY", "FP32")),
    (_layer("Fusion", {TEN: "N/A due to dynamic shapes"}, **CONVOLVING, Weights={"Type": "Int8"}), "INT8"),
    (_layer("Fusion", {TEN: "Float"}, **CONVOLVING, Weights={"Type": "Half"}), ("CONVOLUTION", "FP16")),
    (_layer("kgen", {ELEVEN: "Half"}), ("kgen", "FP16")),
    (_layer("NoOpConversion", {ELEVEN: "FP8"}), ("NoOpConversion", "FP8")),
    (_layer("Reformat", {ELEVEN: "UInt8"}), None),
    (_layer("CaskConvolution", {TEN: "N/A due to dynamic shapes"}), None),
]


@pytest.mark.parametrize(("layer", "wanted"), INSPECTED)
def test_the_inspectors_words_are_read(layer: dict[str, object], wanted: tuple[str, str] | str | None) -> None:
    kind, precision = wanted if isinstance(wanted, tuple) else ("CONVOLUTION", wanted)
    expected = [Layer(name="conv1 + relu1", type=kind, precision=precision)] if precision else []
    assert inspected(json.dumps({"Layers": [layer], "Bindings": ["pixels"]})) == expected


def test_names_alone_tell_no_precision() -> None:
    assert inspected('{"Layers": ["conv1 + relu1"]}') == inspected("{}") == []
