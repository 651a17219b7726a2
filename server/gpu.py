"""The GPU of this machine, asked of its driver: no CUDA toolkit, no torch."""

from __future__ import annotations

import ctypes

_DRIVER = "libcuda.so.1"
_MAJOR, _MINOR = 75, 76  # CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR and _MINOR


def compute_capability() -> str | None:
    """Of the first visible GPU, as Triton writes it ("9.0"); None without a driver or a GPU.

    Source: CUDA driver API, cuDeviceGetAttribute.
    """
    try:
        cuda = ctypes.CDLL(_DRIVER)
    except OSError:
        return None
    device = ctypes.c_int()
    if cuda.cuInit(0) or cuda.cuDeviceGet(ctypes.byref(device), 0):  # anything but 0 is an error
        return None
    return f"{_attribute(cuda, device, _MAJOR)}.{_attribute(cuda, device, _MINOR)}"


def _attribute(cuda: ctypes.CDLL, device: ctypes.c_int, attribute: int) -> int:
    value = ctypes.c_int()
    if error := cuda.cuDeviceGetAttribute(ctypes.byref(value), attribute, device):
        raise OSError(f"{_DRIVER}: cuDeviceGetAttribute({attribute}): expected 0, got error {error}.")
    return value.value
