"""What the launcher checks before Triton starts."""

from __future__ import annotations

import platform
import shutil
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from google.protobuf import text_format

from export import profiles
from export.models import all_specs
from report.card import Card, Choice
from server import choices, preflight
from server.installation import Installation
from server.machine import cpu_features
from server.preflight import PreflightError
from server.repository import Repository, RepositoryError
from tests.support.cards import made_card
from tests.support.checkout import ROOT
from tests.support.installations import IMAGE, WHEEL, WHEEL_WITH_CUDA

COMMITTED = ROOT / "model_repository"


def test_this_platform_passes() -> None:
    preflight.check_platform()


def test_an_unsupported_python_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "version_info", (3, 13, 0))
    with pytest.raises(PreflightError, match=r"Python: expected 3.11 or 3.12"):
        preflight.check_platform()


@pytest.mark.parametrize("libc", [("glibc", "2.31"), ("", ""), ("musl", "1.2")])
def test_an_old_or_other_c_library_is_named(monkeypatch: pytest.MonkeyPatch, libc: tuple[str, str]) -> None:
    monkeypatch.setattr(platform, "libc_ver", lambda: libc)
    with pytest.raises(PreflightError, match=r"glibc 2\.35"):
        preflight.check_platform()


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.9", "localhost"])
def test_loopback_is_allowed_and_resolved(host: str) -> None:
    assert preflight.resolved_host(host, allow_remote=False).startswith("127.0.0.")


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.7"])
def test_other_addresses_are_refused_unless_insisted_on(host: str) -> None:
    with pytest.raises(PreflightError, match="ALLOW_REMOTE=1"):
        preflight.resolved_host(host, allow_remote=False)
    assert preflight.resolved_host(host, allow_remote=True) == host


@pytest.mark.parametrize("host", ["no such host", "::1"])
def test_what_is_no_ipv4_address_is_named(host: str) -> None:
    with pytest.raises(PreflightError, match="expected an IPv4 address"):
        preflight.resolved_host(host, allow_remote=True)


def test_two_equal_ports_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preflight.socket.socket, "bind", lambda *_: None)
    with pytest.raises(PreflightError, match="GRPC_PORT: expected a port of its own, got 8000, which HTTP_PORT has"):
        preflight.check_ports("127.0.0.1", {"HTTP_PORT": 8000, "GRPC_PORT": 8000})


def test_too_little_shared_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preflight.shutil, "disk_usage", lambda _: SimpleNamespace(free=13 << 20))
    preflight.check_shared_memory(6)
    with pytest.raises(PreflightError, match="expected 14 MiB free for 7 workers, got 13"):
        preflight.check_shared_memory(7)


def test_the_closure_of_an_ensemble() -> None:
    repository = Repository.read(COMMITTED)
    assert "chest_xray" in repository.callable_models()
    assert repository.closure(["solubility"]) == [
        "solubility",
        "describe",
        "featurize_molecule",
        "solubility_net",
        "report",
    ]
    assert repository.workers(repository.closure(["solubility"])) == 5
    assert repository.workers(repository.closure(["chest_xray", "pneumonia"])) == 6


def test_what_is_not_exported_is_named(tmp_path) -> None:
    repository = Repository.read(COMMITTED)
    empty = Repository(tmp_path, repository.configs, "")
    with pytest.raises(RepositoryError, match="make export MODELS=pneumonia"):
        list(empty.artefacts(["pneumonia_net"]))
    with pytest.raises(RepositoryError, match="found none"):
        Repository.read(tmp_path)


def test_a_config_with_a_typo_is_named(tmp_path) -> None:
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / "config.pbtxt").write_text("max_batch_sise: 3")
    with pytest.raises(RepositoryError, match="max_batch_sise"):
        Repository.read(tmp_path)


def test_a_profile_for_gpus_is_refused_before_triton_starts() -> None:
    plain = Repository.read(COMMITTED)
    choices.check_servable(plain, plain.closure(["pneumonia"]), "", WHEEL)
    for profile in ("tensorrt", "cuda"):
        repository = Repository.read(COMMITTED, profile)
        needed = repository.closure(["pneumonia"])
        with pytest.raises(preflight.PreflightError, match=r"pneumonia_net: expected .* Triton cannot run it"):
            choices.check_servable(repository, needed, "9.0", WHEEL)
        with pytest.raises(preflight.PreflightError, match=r"pneumonia_net: expected .* shows no GPU"):
            choices.check_servable(repository, needed, "", IMAGE)
        choices.check_servable(repository, needed, "9.0", IMAGE)


def test_wheel_with_cuda_runs_onnxruntime_on_a_gpu_and_no_plans() -> None:
    cuda, tensorrt = (Repository.read(COMMITTED, profile) for profile in ("cuda", "tensorrt"))
    choices.check_servable(cuda, cuda.closure(["pneumonia"]), "9.0", WHEEL_WITH_CUDA)
    with pytest.raises(preflight.PreflightError, match="Triton cannot run it"):
        choices.check_servable(tensorrt, tensorrt.closure(["pneumonia"]), "9.0", WHEEL_WITH_CUDA)


@pytest.mark.parametrize(
    ("profile", "gpu", "triton", "words"),
    [
        ("cuda", "", WHEEL_WITH_CUDA, "expected an NVIDIA GPU whose driver answers"),
        ("tensorrt", "", IMAGE, "expected an NVIDIA GPU whose driver answers"),
        ("cuda", "9.0", WHEEL, "expected the package onnxruntime-gpu"),
        ("tensorrt", "9.0", WHEEL_WITH_CUDA, "expected NVIDIA's image, whose Triton loads plans"),
    ],
)
def test_a_profile_that_cannot_be_had_is_never_the_cpus(
    profile: str, gpu: str, triton: Installation, words: str
) -> None:
    with pytest.raises(preflight.PreflightError, match=f"PROFILE={profile}: {words}"):
        choices.check_profile(profile, gpu, triton)


@pytest.mark.parametrize(
    ("profile", "gpu", "triton"),
    [
        ("auto", "", WHEEL),
        ("cpu", "", WHEEL),
        ("", "9.0", WHEEL),
        ("cuda", "9.0", WHEEL_WITH_CUDA),
        ("cuda", "9.0", IMAGE),
    ],
)
def test_a_profile_that_can_be_had_passes(profile: str, gpu: str, triton: Installation) -> None:
    choices.check_profile(profile, gpu, triton)


def test_cuda_serves_fp16_where_it_was_published_and_fp32_elsewhere(tmp_path: Path) -> None:
    card, folder = made_card("pneumonia"), tmp_path / "repository"
    shutil.copytree(COMMITTED, folder, ignore=shutil.ignore_patterns("*.onnx", "card.json", ".lock"))
    artefact = replace(card.artefacts["fp32.onnx"], precision="fp16")
    half = replace(card, artefacts=card.artefacts | {"fp16.onnx": artefact})
    for name, found in (("pneumonia_net", card), ("pneumonia_cnn_net", half)):
        (folder / name / "1").mkdir(exist_ok=True)
        found.write(folder / name / "1")
    served = {
        profile: {name: config.default_model_filename for name, config in repository.configs.items()}
        for profile in ("", "cuda", "tensorrt")
        for repository in [choices.as_published(Repository.read(folder, profile), "9.0")]
    }
    assert served["cuda"]["pneumonia_net"] == served["cuda"]["chest_xray_net"] == "fp32.onnx"
    assert served["cuda"]["pneumonia_cnn_net"] == "fp16.onnx"
    assert served[""]["pneumonia_cnn_net"] == "fp32.onnx"
    # Without plans, profile tensorrt serves the same on CUDA.
    assert served["tensorrt"]["pneumonia_net"] == "fp32.onnx"
    assert served["tensorrt"]["pneumonia_cnn_net"] == "fp16.onnx"
    (folder / "pneumonia_net" / "1" / "sm90.plan").write_bytes(b"a plan")
    repository = choices.as_published(Repository.read(folder, "tensorrt"), "9.0")
    backends = {name: repository.configs[name].backend for name in ("pneumonia_net", "pneumonia_cnn_net")}
    assert backends == {"pneumonia_net": "tensorrt", "pneumonia_cnn_net": "onnxruntime"}
    assert sorted(choices.runtimes(repository, ["pneumonia", "pneumonia_cnn", "chest_xray"], "9.0")) == [
        ("pneumonia_cnn_net", "fp16.onnx", "onnxruntime CUDA"),  # and nothing of one that is not exported
        ("pneumonia_net", "sm90.plan", "TensorRT"),
    ]
    other = choices.as_published(Repository.read(folder, "tensorrt"), "8.9")  # a plan for another GPU does not count
    assert other.configs["pneumonia_net"].backend == "onnxruntime"


def test_an_unknown_profile_is_refused_with_those_that_there_are() -> None:
    with pytest.raises(RepositoryError, match=r"PROFILE: expected one of cpu, cuda, tensorrt, got tensorrrt"):
        Repository.read(COMMITTED, "tensorrrt")


@pytest.fixture
def tuned(tmp_path: Path) -> tuple[Path, Card]:
    """A repository of one network with the CPU's own profile, and its card."""
    choice = Choice(artefact="fp16.onnx", engine="openvino", precision="fp16", cpu=("avx2",), speeds={})
    for name in ("pneumonia_net", "report"):
        (tmp_path / name).mkdir()
        shutil.copy(COMMITTED / name / "config.pbtxt", tmp_path / name)
    (tmp_path / "pneumonia_net" / "configs").mkdir()
    config = text_format.MessageToString(profiles.this_cpu(all_specs()["pneumonia"], choice))
    (tmp_path / "pneumonia_net" / "configs" / "cpu.pbtxt").write_text(config)
    return tmp_path, replace(made_card("pneumonia"), choice=choice)


def test_a_profile_is_each_models_own_where_it_has_one(tuned: tuple[Path, Card]) -> None:
    folder, card = tuned
    cpu, plain = Repository.read(folder, "cpu"), Repository.read(folder)
    assert cpu.configs["pneumonia_net"].default_model_filename == card.choice.artefact
    assert plain.configs["pneumonia_net"].default_model_filename == "fp32.onnx"
    assert cpu.configs["report"] == plain.configs["report"]


def test_a_choice_made_on_another_cpu_is_not_served(tuned: tuple[Path, Card]) -> None:
    folder, card = tuned
    cpu, plain = Repository.read(folder, "cpu"), Repository.read(folder)
    choices.check_choices([card], cpu, card.choice.cpu)
    with pytest.raises(preflight.PreflightError, match=r"pneumonia: expected the CPU it was tuned for"):
        choices.check_choices([card], cpu, (*card.choice.cpu, "abacus"))
    choices.check_choices([card], plain, ("abacus",))


def test_a_profile_that_serves_something_else_than_the_card_says_is_refused(tuned: tuple[Path, Card]) -> None:
    folder, card = tuned
    cpu = Repository.read(folder, "cpu")
    for wrong in (replace(card, choice=replace(card.choice, artefact="int8.onnx")), replace(card, choice=None)):
        with pytest.raises(PreflightError, match=r"pneumonia: expected configs/cpu\.pbtxt to serve"):
            choices.check_choices([wrong], cpu, card.choice.cpu)


def test_the_features_of_a_cpu(tmp_path: Path) -> None:
    file = tmp_path / "cpuinfo"
    file.write_text("processor\t: 0\nflags\t\t: fpu avx2 avx512_vnni sse\n\nprocessor\t: 1\nflags\t: fpu\n")
    assert cpu_features(file) == ("avx2", "avx512_vnni")
    file.write_text("Features\t: fp asimd asimddp i8mm\n")
    assert cpu_features(file) == ("asimddp", "i8mm")
    assert cpu_features(tmp_path / "none") == ()
