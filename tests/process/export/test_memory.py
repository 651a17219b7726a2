"""The driver's own calls, against a driver in C whose memory is the host's."""

from __future__ import annotations

import ctypes
from pathlib import Path

import numpy as np
import pytest

from export.plans.memory import GpuMemory
from export.plans.plan import EngineError
from server import gpu, nvinfer
from tests.support.gpu import compiled


@pytest.fixture
def driver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ctypes.CDLL:
    library = compiled("libcuda.so.1", tmp_path)
    monkeypatch.setattr(gpu, "_DRIVER", str(library))
    return ctypes.CDLL(str(library))


def test_gpu_is_what_the_driver_reports(driver: ctypes.CDLL) -> None:
    assert gpu.first_gpu() == gpu.Gpu("Stand-in GPU", "9.0", 4)


def test_memory_returns_what_was_uploaded(driver: ctypes.CDLL) -> None:
    memory = GpuMemory()
    sent = np.random.default_rng(1).standard_normal((5, 7)).astype(np.float32)
    address = memory.allocate(sent.nbytes)
    assert address > 1 << 32  # addresses have 64 bits: one that were cut would not be the array's
    memory.upload(address, sent)
    received = np.zeros_like(sent)
    memory.download(received, address)
    assert not received.any()  # copies are the stream's: nothing is there before it has run
    memory.wait()
    assert np.array_equal(received, sent)
    memory.free(address)
    assert driver.stand_in_held() == 0


def test_memory_of_an_empty_array_is_allocated(driver: ctypes.CDLL) -> None:
    memory = GpuMemory()
    memory.free(memory.allocate(0))


def test_memory_that_cannot_be_had_is_an_error_with_its_number(driver: ctypes.CDLL) -> None:
    with pytest.raises(EngineError, match="cuMemAlloc_v2: expected 0, got CUDA error 2"):
        GpuMemory().allocate(1 << 41)


def test_nvinfer_version_is_read_from_the_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nvinfer, "LIBRARIES", ("libnvinfer.so.none", str(compiled("libnvinfer.so.11", tmp_path))))
    assert nvinfer.library_version() == "11.4.0"


def test_nvinfer_that_is_absent_has_no_version(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(nvinfer, "LIBRARIES", ("libnvinfer.so.none",))
    assert nvinfer.library_version() == ""
    assert nvinfer.main() == 1
    assert "expected one of libnvinfer.so.none, found none" in capsys.readouterr().err
