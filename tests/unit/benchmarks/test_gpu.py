"""The GPU proof without a GPU: what it carries, what it prunes, what it calls missed, what the page shows of it."""

from __future__ import annotations

import struct
from pathlib import Path

import msgspec
import pytest

from benchmarks.figures import FiguresError, write
from benchmarks.gpu import prepare, proof
from benchmarks.gpu.carried import Carried
from benchmarks.gpu.prune import prune
from benchmarks.gpu.report import Facts, GpuProof, Parity, Rate, Served
from benchmarks.page.page import text
from benchmarks.page.results import files, kept, read
from export.models import all_specs
from tests.support.load_runs import NOBODY

FACTS = Facts(gpu="NVIDIA H200", capability="9.0", multiprocessors=132, driver="580", versions={"torch": "2"})
EXACT = Parity(
    model="m", file="fp32.onnx", precision="fp32", against="fp32.onnx", items=9, largest=1e-5, flips=0, ties=0,
    lost_reviews=0, refused=[],
)  # fmt: skip
CALLS = Served(model="m", images="299 x 299", users=100, per_s=900.0, p50_ms=90, p95_ms=120, p99_ms=150, failed=0)


def _proof(**changes: object) -> GpuProof:
    return msgspec.structs.replace(
        GpuProof(setting=NOBODY, facts=FACTS, parity=[EXACT], served=[CALLS], seconds={"serve": 1.0}), **changes
    )


def test_missed_nothing_when_every_promise_held() -> None:
    assert _proof().missed() == []


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"parity": [msgspec.structs.replace(EXACT, largest=2e-4)]}, "expected max |Δ| ≤ 0.0001, got 2.0e-04"),
        ({"parity": [msgspec.structs.replace(EXACT, refused=["label flips"])]}, "m/fp32.onnx: label flips"),
        ({"served": [msgspec.structs.replace(CALLS, p95_ms=500.0)]}, "expected p95 < 500 ms, got 500 ms"),
        ({"served": [msgspec.structs.replace(CALLS, failed=3, why="3 × x")]}, "3 calls failed: 3 × x"),
        ({"failed": {"serve": "ServerEnded: no"}}, "serve: ServerEnded: no"),
    ],
)
def test_missed_names_each_promise(changes: dict[str, object], expected: str) -> None:
    (sentence,) = _proof(**changes).missed()
    assert expected in sentence


def test_speed_is_no_promise_of_a_cpu_in_the_gpus_place() -> None:
    slow = [msgspec.structs.replace(CALLS, p95_ms=9000.0)]
    assert _proof(served=slow, facts=msgspec.structs.replace(FACTS, gpu="")).missed() == []


def test_kept_figures_of_a_gpu_are_on_the_page(tmp_path: Path) -> None:
    rates = [Rate(model="m", file="fp32.onnx", batch=16, per_s=2345.0)]
    file = kept(write(_proof(rates=rates), tmp_path / "run", "gpu"), tmp_path)
    assert file == tmp_path / "gpu" / "nvidia-h200.json"
    page = text([read(each) for each in files(tmp_path)])
    assert "## On a GPU: NVIDIA H200" in page
    assert "| m | fp32.onnx | 16 | 2,345 |" in page
    assert "Everything that was promised held." in page
    assert "no GPU has run it" not in page


def test_figures_of_a_cpu_in_the_gpus_place_are_not_kept(tmp_path: Path) -> None:
    file = write(_proof(facts=msgspec.structs.replace(FACTS, gpu="")), tmp_path / "run", "gpu")
    with pytest.raises(FiguresError, match="expected figures of a GPU"):
        kept(file, tmp_path)
    assert "`python -m benchmarks.gpu.proof` (no GPU has run it)" in text([])


def test_proof_without_a_gpu_says_how_to_try_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(proof, "first_gpu", lambda: None)
    assert proof.main([]) == 1
    assert capsys.readouterr().err.strip().endswith("found none. Run with --cpu to try it without.")


def test_proof_without_models_says_what_to_do(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert proof.main(["--cpu", "--repository", str(tmp_path)]) == 1
    assert "Run `make export`" in capsys.readouterr().err


def test_carried_models_are_models_with_one_image() -> None:
    carried = Carried.read()
    assert carried.names()
    assert all(len(all_specs()[name].explained) == 1 for name in carried.names())
    assert set(carried.models) <= set(prepare.FOLDERS)


def _fat_binary(*entries: tuple[int, int, bytes]) -> bytes:
    """A container of (kind, architecture, code)."""
    parts = [
        struct.pack("<HHIQIIHHI", kind, 0, 64, len(code), 0, 0, 0, 0, of).ljust(64, b"\1") + code
        for kind, of, code in entries
    ]
    body = b"".join(parts)
    return struct.pack("<IHHQ", 0xBA55ED50, 1, 16, len(body)) + body


def test_prune_leaves_one_architecture_and_the_layout(tmp_path: Path) -> None:
    whole = _fat_binary((2, 80, b"A" * 40), (2, 90, b"B" * 24), (1, 90, b"C" * 8), (2, 120, b"D" * 16))
    source, target = tmp_path / "in.so", tmp_path / "out.so"
    decoy = struct.pack("<I", 0xBA55ED50) + b"not a container"
    source.write_bytes(b"head" + decoy + whole + b"code" + whole + b"tail")
    assert prune(source, target, 90) == 2 * (24 + 8)
    content = target.read_bytes()
    assert len(content) == source.stat().st_size
    assert content.count(b"B" * 24) == content.count(b"C" * 8) == 2
    assert b"A" not in content
    assert b"D" not in content
    assert content.startswith(b"head" + decoy)
    assert content.endswith(b"tail")


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (_fat_binary((7, 90, b"x" * 8)), "another format than CUDA 13's"),
        (_fat_binary((2, 80, b"x" * 8)), "expected device code for sm_90, found none"),
        (b"", "expected device code for sm_90, found none"),
    ],
)
def test_prune_refuses_what_it_cannot_read(tmp_path: Path, content: bytes, expected: str) -> None:
    (source := tmp_path / "in.so").write_bytes(content)
    with pytest.raises(ValueError, match=expected):
        prune(source, tmp_path / "out.so", 90)
    assert not (tmp_path / "out.so").exists()


def _stand_ins(names: tuple[str, ...], folder: Path) -> None:
    """What pip would leave of these packages, as far as prepare.py looks at it."""
    for stub in ("3.11", "3.12"):
        (folder / "pytriton" / "tritonserver" / "python_backend_stubs" / stub).mkdir(parents=True)
    (folder / "onnxruntime" / "capi").mkdir(parents=True)
    (folder / "onnxruntime" / "capi" / "libonnxruntime_providers_cuda.so").write_bytes(_fat_binary((2, 90, b"x" * 999)))
    for name in names:
        (folder / name).mkdir(exist_ok=True)


def _prepared(repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    monkeypatch.setattr(prepare, "_install", _stand_ins)
    monkeypatch.setattr(prepare.subprocess, "run", lambda command, **_: Path(command[2]).write_bytes(b"stripped"))
    prepare.prepare(repository, None, tmp_path / "libpython3.12.so.1.0", tmp_path / "into", tmp_path / "work")
    return sorted((tmp_path / "into").iterdir())


def test_prepare_refuses_a_folder_that_is_too_large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prepare, "MOST_MB", 0)
    with pytest.raises(prepare.PrepareError, match=r"\.gpu1: expected at most 0 MB, got 0"):
        _prepared(tmp_path, tmp_path, monkeypatch)


def test_prepare_without_published_files_says_how_to_make_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(
        prepare.PrepareError, match="Export them: make export MODELS=pneumonia CHECKPOINTS=… PICTURES=…"
    ):
        _prepared(tmp_path, tmp_path, monkeypatch)


def test_small_packages_are_pinned() -> None:
    pins = {line.partition("==")[0] for line in (Path(prepare.ROOT) / "constraints.txt").read_text().splitlines()}
    assert {prepare.TRITON, prepare.NUMPY, prepare.CUDA, *prepare.SMALL} <= pins
