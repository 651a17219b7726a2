"""`python -m export engines`: plans of what is published, in the repository only where its server can load them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from export import plan_all, to_engine
from export.__main__ import main
from export.artefact import folder_of
from export.commands import engines
from export.engines import load
from export.models import all_specs
from export.plan_all import Site, plans
from export.plans.plan import EngineError, write_whole
from export.precision.half import write_half
from export.spec import ModelSpec
from export.to_engine import Order
from report.card import Card
from report.plan import Plan
from server.gpu import Gpu
from tests.support.repositories import copy_repository

pytest.importorskip("tensorrt_rtx", reason="needs tensorrt_rtx (make engines installs it)")
SPEC = all_specs()["solubility"]
PLAN = Plan(
    file="sm90.plan", size_bytes=1, sha256="ab" * 32, library="tensorrt 10.12.0.36", compute_capabilities=("9.0",),
    precision="fp16", onnx="fp16.onnx", onnx_sha256="cd" * 32, batch=(1, 8, 64), layers={}, checked_by="network",
    timing_cache="new", build_s=1.0,
)  # fmt: skip


@pytest.fixture(scope="module")
def repository(tiny_repository: Path) -> Path:
    """Tiny networks: nothing below judges accuracy or size."""
    return tiny_repository


def test_without_a_gpu_plans_are_proofs(repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan_all, "compute_capability", lambda: None)
    site = Site(repository=repository, proofs=tmp_path / "proofs")
    fp16, fp32 = plans(SPEC, site, ["fp16", "fp32"])
    assert (fp16.precision, fp32.precision) == ("fp16", "fp32")
    assert sorted(path.name for path in site.proofs.iterdir()) == ["solubility.fp16.plan", "solubility.fp32.plan"]
    assert not list(folder_of(SPEC, repository).glob("*.plan"))
    assert Card.read(folder_of(SPEC, repository) / "card.json").plans == {}


def test_what_was_not_published_is_not_built(repository: Path, tmp_path: Path) -> None:
    with pytest.raises(
        EngineError, match=r"solubility: expected int8\.onnx among the published .* unsupported: measured"
    ):
        list(plans(SPEC, Site(repository=repository, proofs=tmp_path), ["int8"]))


class _Gpu:
    """What stands in for a GPU: `tensorrt`, a builder that writes something, and an engine that runs the ONNX file.

    Args:
        harm: added to what the engine answers.
        instead: the ONNX file that the plan really computes; None: the one that was ordered.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch, harm: float = 0.0, instead: Path | None = None) -> None:
        tensorrt = ModuleType("tensorrt")
        tensorrt.__version__ = "10.12.0.36"
        monkeypatch.setattr(plan_all, "compute_capability", lambda: "9.0")
        monkeypatch.setattr(plan_all, "library", lambda: tensorrt)
        monkeypatch.setattr(plan_all, "build_plan", self._build)
        monkeypatch.setattr(plan_all, "open_plan", self._open)
        self._harm, self._instead = harm, instead

    def _build(self, order: Order, file: Path) -> Plan:
        assert order.capabilities == ("9.0",)
        write_whole(file, b"a plan")
        self._onnx = self._instead or order.onnx
        return replace(PLAN, file=file.name, onnx=order.onnx.name, precision=order.precision)

    def _open(self, file: Path) -> _Gpu:
        assert file.read_bytes() == b"a plan"
        return self

    def run(self, inputs, outputs):
        found = load(self._onnx, "onnxruntime").run(inputs, outputs)
        return [array + np.float32(self._harm) for array in found[:1]] + found[1:]


@pytest.mark.parametrize(("server", "kept"), [("10.12.0.36", True), ("", True), ("10.13.0.1", False)])
def test_on_a_gpu_the_first_goes_beside_the_artefacts_if_the_server_can_load_it(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, server: str, kept: bool
) -> None:
    own = copy_repository(repository, tmp_path / "repository")
    folder = folder_of(SPEC, own)
    _Gpu(monkeypatch)
    (folder / "sm90.plan").write_bytes(b"of before")
    site = Site(repository=own, proofs=tmp_path / "proofs", server_version=server)
    if kept:
        assert [plan.file for plan in plans(SPEC, site, ["fp16", "fp32"])] == ["sm90.plan", "solubility.fp32.plan"]
    else:
        with pytest.raises(EngineError, match=r"expected one built by the server's TensorRT 10\.13\.0\.1, got 10\.12"):
            list(plans(SPEC, site, ["fp16"]))
    assert (folder / "sm90.plan").read_bytes() == (b"a plan" if kept else b"of before")
    recorded = Card.read(folder / "card.json").plans
    assert set(recorded) == ({"sm90.plan"} if kept else set())
    if kept:
        found = recorded["sm90.plan"].comparison
        assert found is not None
        assert (found.engine, found.precision, found.samples, found.refused) == ("tensorrt", "fp16", 8, ())
        assert found.max_error["log_s"] == 0  # against the file that it was built of, which the stand-in runs


def test_a_plan_that_answers_otherwise_takes_nobodys_place(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = copy_repository(repository, tmp_path / "repository")
    folder = folder_of(SPEC, own)
    _Gpu(monkeypatch, harm=0.02)
    (folder / "sm90.plan").write_bytes(b"of before")
    with pytest.raises(EngineError, match=r"solubility\.fp16\.plan: not put into .* log_s: expected max .* got 0\.02"):
        list(plans(SPEC, Site(repository=own, proofs=tmp_path / "proofs"), ["fp16"]))
    assert (folder / "sm90.plan").read_bytes() == b"of before"
    assert Card.read(folder / "card.json").plans == {}


def _with_half(repository: Path, target: Path, spec: ModelSpec) -> Path:
    """A copy in which the model's FP16 is published, as if the gate had seen it elsewhere; the folder of its files."""
    folder = folder_of(spec, copy_repository(repository, target))
    card = Card.read(folder / "card.json")
    if "fp16.onnx" not in card.artefacts:
        fingerprint = write_half(folder / "fp32.onnx", folder / "fp16.onnx")
        half = replace(card.artefacts["fp32.onnx"], precision="fp16", fingerprint=fingerprint)
        replace(card, artefacts=card.artefacts | {"fp16.onnx": half}).write(folder)
    return folder


def _refused(spec: ModelSpec, folder: Path, monkeypatch: pytest.MonkeyPatch, instead: Path) -> str:
    """Return why an FP16 plan that computes another file is refused; assert that none was left."""
    _Gpu(monkeypatch, instead=instead)
    with pytest.raises(EngineError, match="not put into the repository: ") as refused:
        list(plans(spec, Site(repository=folder / "repository", proofs=folder / "proofs"), ["fp16"]))
    assert not list(folder_of(spec, folder / "repository").glob("*.plan"))
    return str(refused.value)


@pytest.mark.parametrize("name", ["skin_lesion", "chest_xray", "solubility"])
def test_a_plan_is_held_to_the_proved_file_and_needs_no_images(
    name: str, repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also of a model with critical classes: in a cluster there are no images that PyTorch called melanoma."""
    spec = all_specs()[name]
    folder = _with_half(repository, tmp_path / "repository", spec)
    _Gpu(monkeypatch)
    (plan,) = plans(spec, Site(repository=tmp_path / "repository", proofs=tmp_path / "proofs"), ["fp16"])
    assert plan.comparison is not None
    assert plan.comparison.refused == ()
    assert max(plan.comparison.max_error.values()) == 0  # the stand-in runs that very file
    assert (folder / "sm90.plan").is_file()


@pytest.mark.parametrize("name", ["skin_lesion", "chest_xray", "solubility"])
def test_a_plan_of_weights_that_are_one_percent_off_is_refused(
    name: str, repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = all_specs()[name]
    folder = _with_half(repository, tmp_path / "repository", spec)
    model = onnx.load(folder / "fp16.onnx")
    for tensor in model.graph.initializer:
        array = numpy_helper.to_array(tensor)
        if array.ndim >= 2 and array.dtype.kind == "f" and tensor.name not in ("fingerprint",):
            tensor.CopyFrom(numpy_helper.from_array((array * 1.01).astype(array.dtype), tensor.name))
    onnx.save(model, tmp_path / "scaled.onnx")
    assert " expected max " in _refused(spec, tmp_path, monkeypatch, instead=tmp_path / "scaled.onnx")


def test_a_plan_of_another_artifact_is_refused(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = all_specs()["skin_lesion"]
    folder = _with_half(repository, tmp_path / "repository", spec)
    # The same weights, and another fingerprint.
    assert "fingerprint" in _refused(spec, tmp_path, monkeypatch, instead=folder / "fp32.onnx")


def test_an_override_of_the_gate_lets_no_other_plan_in(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It says what the file's precision may lose, not that another network may serve in its place."""
    spec = all_specs()["skin_lesion"]
    folder = _with_half(repository, tmp_path / "repository", spec)
    card = Card.read(folder / "card.json")
    overridden = replace(card.artefacts["fp16.onnx"], published_anyway="a demonstration")
    replace(card, artefacts=card.artefacts | {"fp16.onnx": overridden}).write(folder)
    assert "fingerprint" in _refused(spec, tmp_path, monkeypatch, instead=folder / "fp32.onnx")


def test_a_plan_that_does_not_run_is_refused(repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gpu = _Gpu(monkeypatch)
    monkeypatch.setattr(gpu, "run", lambda *_: 1 / 0)
    own = copy_repository(repository, tmp_path / "repository")
    with pytest.raises(EngineError, match=r"solubility: tensorrt does not run .*plan: ZeroDivisionError"):
        list(plans(SPEC, Site(repository=own, proofs=tmp_path), ["fp16"]))


@pytest.mark.parametrize(
    ("harmed", "served"), [((), "fp16.onnx"), (("fp16.onnx",), "fp32.onnx"), (("fp16.onnx", "fp32.onnx"), "")]
)
def test_a_server_gets_the_first_plan_that_passes_and_starts_without_any(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
    harmed: tuple[str, ...], served: str,
) -> None:  # fmt: skip
    """`engines --into`, as the chart's init container runs it: one model's failure is that model's alone."""
    _with_half(repository, tmp_path / "repository", SPEC)
    gpu = _Gpu(monkeypatch)
    monkeypatch.setattr(
        gpu,
        "run",
        lambda inputs, outputs: [
            array + np.float32(0.5 if gpu._onnx.name in harmed and array.ndim == 2 and array.shape[1] == 1 else 0)
            for array in load(gpu._onnx, "onnxruntime").run(inputs, outputs)
        ],
    )
    monkeypatch.setattr(engines, "first_gpu", lambda: Gpu("NVIDIA H100", "9.0", 132))
    monkeypatch.setattr(to_engine, "library", plan_all.library)
    command = ["engines", "--repository", str(tmp_path / "repository"), "--into", str(tmp_path / "work")]
    assert main([*command, "--models", "solubility"]) == 0
    output = capsys.readouterr()
    folder = folder_of(SPEC, tmp_path / "work" / "models")
    assert [plan.onnx for plan in Card.read(folder / "card.json").plans.values()] == ([served] if served else [])
    assert output.err.count("solubility: no plan in") == len(harmed)
    assert ("no plan: the launcher serves it by onnxruntime on CUDA" in output.err) == (not served)
    assert not list((tmp_path / "repository").rglob("*.plan"))
    assert main([*command, "--models", "solubility"]) == 0
    assert "unchanged" in capsys.readouterr().out
