"""Which profile a launch chooses on which machine, and what Triton it finds."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from server.installation import GPU_BACKENDS, find_triton, lay_out_backends
from server.machine import Machine
from server.profiles import AUTO, profile
from server.repository import Repository
from tests.support.installations import IMAGE, WHEEL, WHEEL_WITH_CUDA
from tests.support.repositories import copy_repository

HOPPER, NONE = Machine(2, 8000, (), "9.0"), Machine(2, 8000, ())


@pytest.fixture(scope="module")
def repository(tiny_repository: Path) -> Path:
    """Tiny networks: nothing below judges accuracy or size."""
    return tiny_repository


@pytest.fixture
def plain(repository: Path, tmp_path: Path) -> Repository:
    return Repository.read(copy_repository(repository, tmp_path / "repository"))


def _plan(plain: Repository, network: str, file: str) -> None:
    (plain.folder / network / "1" / file).write_bytes(b"a plan")


def test_no_gpu_or_a_triton_that_uses_none_is_the_cpu(plain: Repository) -> None:
    needed = plain.closure(["pneumonia"])
    assert profile(AUTO, plain, needed, NONE, IMAGE).name == "cpu"
    found = profile(AUTO, plain, needed, HOPPER, WHEEL)
    assert found.name == "cpu"
    assert "onnxruntime-gpu is not installed" in found.why
    assert profile(AUTO, plain, needed, HOPPER, WHEEL_WITH_CUDA).name == "cuda"


def test_a_gpu_is_served_plans_only_where_every_network_has_one_for_it(plain: Repository) -> None:
    needed = plain.closure(["pneumonia", "solubility"])
    _plan(plain, "pneumonia_net", "sm90.plan")
    _plan(plain, "solubility_net", "sm80.plan")  # another GPU's
    found = profile(AUTO, plain, needed, HOPPER, IMAGE)
    assert found.name == "cuda"
    assert "no plan for compute capability 9.0 of solubility_net;" in found.why
    _plan(plain, "solubility_net", "sm90.plan")
    assert profile(AUTO, plain, needed, HOPPER, IMAGE).name == "tensorrt"


@pytest.mark.parametrize("asked", ["", "cpu", "cuda"])
def test_what_is_asked_for_is_served(plain: Repository, asked: str) -> None:
    assert profile(asked, plain, plain.closure(["pneumonia"]), HOPPER, IMAGE).name == asked


def test_plans_are_what_is_verified_and_loaded(plain: Repository) -> None:
    planned = Repository.read(plain.folder, "tensorrt")
    ((_, file),) = planned.artefacts(["pneumonia_net"], "9.0")
    assert file.name == "sm90.plan"
    ((_, file),) = planned.artefacts(["pneumonia_net"], "6.1")
    assert file.name == "no-plan-for-this-gpu.plan"


def test_nvidias_image_is_found_before_the_wheel(tmp_path: Path) -> None:
    """A folder of the image's shape; its own server runs on GPUs and is not here."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "tritonserver").touch()
    for name in ("python", *GPU_BACKENDS):
        (tmp_path / "backends" / name).mkdir(parents=True)
    for name in ("libtriton_python.so", "triton_python_backend_utils.py", "triton_python_backend_stub"):
        (tmp_path / "backends" / "python" / name).touch()
    found = find_triton(tmp_path)
    assert found.image
    assert found.gpus
    lay_out_backends(found, tmp_path / "gpu", on_gpu=True)
    assert (tmp_path / "gpu" / "tensorrt").resolve() == tmp_path / "backends" / "tensorrt"
    lay_out_backends(found, tmp_path / "cpu")
    lay_out_backends(replace(found, image=False), tmp_path / "wheel", on_gpu=True)
    assert (tmp_path / "wheel" / "onnxruntime" / "model.py").is_file()
    assert (tmp_path / "cpu" / "onnxruntime" / "model.py").is_file()
    assert not (tmp_path / "cpu" / "tensorrt").exists()


def test_without_an_image_the_wheel_serves(tmp_path: Path) -> None:
    found = find_triton(tmp_path)
    assert found.server.is_file()
    assert not found.image
    assert not found.gpus
