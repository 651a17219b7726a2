"""The GPU of this machine, asked of its driver: no CUDA toolkit, no torch."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass

_DRIVER = "libcuda.so.1"
_MULTIPROCESSORS = 16  # CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT
_MAJOR, _MINOR = 75, 76  # CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR and _MINOR
_NAME_BYTES = 256


@dataclass(frozen=True, slots=True)
class Gpu:
    """A GPU, as its driver describes it.

    Args:
        product: "NVIDIA H100 80GB HBM3", or with MIG "NVIDIA H100 80GB HBM3 MIG 1g.10gb".
        capability: compute capability as Triton writes it, "9.0".
        multiprocessors: of it, or of its MIG slice.
    """

    product: str
    capability: str
    multiprocessors: int


def first_gpu() -> Gpu | None:
    """Return the first visible GPU; None without a driver or a GPU.

    Source: CUDA driver API, cuDeviceGetName and cuDeviceGetAttribute.

    Raises:
        OSError: the driver answers with an error.
    """
    if (found := driver()) is None:
        return None
    cuda, device = found
    name = ctypes.create_string_buffer(_NAME_BYTES)
    if error := cuda.cuDeviceGetName(name, _NAME_BYTES, device):
        raise OSError(f"{_DRIVER}: cuDeviceGetName: expected 0, got error {error}.")
    return Gpu(name.value.decode(), _capability(cuda, device), _attribute(cuda, device, _MULTIPROCESSORS))


def compute_capability() -> str | None:
    """Of the first visible GPU, as Triton writes it ("9.0"); None without a driver or a GPU.

    Source: CUDA driver API, cuDeviceGetAttribute.
    """
    found = driver()
    return None if found is None else _capability(*found)


def driver() -> tuple[ctypes.CDLL, ctypes.c_int] | None:
    """Return the driver's library, initialized, and its first device; None without a driver or a GPU."""
    try:
        cuda = ctypes.CDLL(_DRIVER)
    except OSError:
        return None
    device = ctypes.c_int()
    if cuda.cuInit(0) or cuda.cuDeviceGet(ctypes.byref(device), 0):  # anything but 0 is an error
        return None
    return cuda, device


def _capability(cuda: ctypes.CDLL, device: ctypes.c_int) -> str:
    return f"{_attribute(cuda, device, _MAJOR)}.{_attribute(cuda, device, _MINOR)}"


def _attribute(cuda: ctypes.CDLL, device: ctypes.c_int, attribute: int) -> int:
    value = ctypes.c_int()
    if error := cuda.cuDeviceGetAttribute(ctypes.byref(value), attribute, device):
        raise OSError(f"{_DRIVER}: cuDeviceGetAttribute({attribute}): expected 0, got error {error}.")
    return value.value
