"""The environment that a tritonserver and its workers are started with."""

from __future__ import annotations

import os
import sysconfig
from pathlib import Path

import pytest

from server.installation import PACKAGES, POOLS, Installation, environment
from tests.support.installations import IMAGE, WHEEL

LIBDIR = sysconfig.get_config_var("LIBDIR")


def _of(triton: Installation = IMAGE) -> dict[str, str]:
    return environment(triton, Path("/cache"), "tensorrt")


def test_python_libraries_come_after_those_of_the_image(monkeypatch: pytest.MonkeyPatch) -> None:
    """Debian keeps the host libcuda in the same folder, and CUDA its newer one elsewhere: that must be found first."""
    monkeypatch.setenv("LD_LIBRARY_PATH", "/usr/local/cuda/compat/lib")
    assert _of()["LD_LIBRARY_PATH"].split(os.pathsep) == ["/usr/local/cuda/compat/lib", LIBDIR]
    assert _of(WHEEL)["LD_LIBRARY_PATH"].split(os.pathsep)[0] == str(WHEEL.libraries)


def test_packages_of_the_image_stay_importable_after_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", "/opt/tritonserver/backends/dali/wheel/dali")
    first, *_, last = _of()["PYTHONPATH"].split(os.pathsep)
    assert (first, last) == (str(PACKAGES), "/opt/tritonserver/backends/dali/wheel/dali")
    monkeypatch.delenv("PYTHONPATH")
    assert "" not in _of()["PYTHONPATH"].split(os.pathsep)


@pytest.mark.parametrize("name", POOLS)
def test_worker_starts_no_thread_pool_of_a_library(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "16")
    assert _of()[name] == "1"
