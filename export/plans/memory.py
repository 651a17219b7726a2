"""Memory of the GPU that plans are compared on: the driver's own calls, so that a server's image needs no torch."""

from __future__ import annotations

import ctypes
from typing import Any, Protocol

from numpy.typing import NDArray

from export.plans.plan import EngineError
from server.gpu import driver

_NON_BLOCKING = 1  # CU_STREAM_NON_BLOCKING: apart from the legacy stream, which waits for all others
# Functions of the CUDA driver API, with their arguments: addresses on the GPU have 64 bits everywhere.
_CALLS: dict[str, list[Any]] = {
    "cuDevicePrimaryCtxRetain": [ctypes.POINTER(ctypes.c_void_p), ctypes.c_int],
    "cuCtxSetCurrent": [ctypes.c_void_p],
    "cuStreamCreate": [ctypes.POINTER(ctypes.c_void_p), ctypes.c_uint],
    "cuStreamSynchronize": [ctypes.c_void_p],
    "cuMemAlloc_v2": [ctypes.POINTER(ctypes.c_uint64), ctypes.c_size_t],
    "cuMemcpyHtoDAsync_v2": [ctypes.c_uint64, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_void_p],
    "cuMemcpyDtoHAsync_v2": [ctypes.c_void_p, ctypes.c_uint64, ctypes.c_size_t, ctypes.c_void_p],
    "cuMemFree_v2": [ctypes.c_uint64],
}


class Memory(Protocol):
    """Where a plan's inputs and outputs lie.

    Args:
        stream: handle of the stream that a plan runs on.
    """

    stream: int

    def allocate(self, size: int) -> int:
        """Return the address of `size` bytes, which stay until they are freed."""

    def upload(self, address: int, array: NDArray[Any]) -> None:
        """Copy an array, in C order, to an address, before what runs on `stream` later. It must live until `wait`."""

    def download(self, array: NDArray[Any], address: int) -> None:
        """Fill an array, in C order, from an address, after what ran on `stream` before; it is filled after `wait`."""

    def wait(self) -> None:
        """Return when everything on `stream` has run."""

    def free(self, address: int) -> None:
        """Give the bytes at an address back."""


class GpuMemory:
    """Memory of the first GPU, in its primary context, which TensorRT uses too.

    Source: CUDA driver API, memory and stream management.

    Raises:
        EngineError: no GPU answers, or the driver answers with an error; so do all methods.
    """

    def __init__(self) -> None:
        if (found := driver()) is None:
            raise EngineError(
                "plan: expected an NVIDIA GPU whose driver answers, to compare the plan's answers, found none."
            )
        self._cuda, device = found
        for name, arguments in _CALLS.items():
            getattr(self._cuda, name).argtypes = arguments
        context, stream = ctypes.c_void_p(), ctypes.c_void_p()
        self._call("cuDevicePrimaryCtxRetain", ctypes.byref(context), device.value)
        self._call("cuCtxSetCurrent", context)
        self._call("cuStreamCreate", ctypes.byref(stream), _NON_BLOCKING)
        self.stream: int = stream.value or 0

    def allocate(self, size: int) -> int:
        address = ctypes.c_uint64()
        self._call("cuMemAlloc_v2", ctypes.byref(address), max(1, size))
        return address.value

    def upload(self, address: int, array: NDArray[Any]) -> None:
        # In the stream: a plain copy may return before the GPU has the bytes, and this stream waits for no other.
        self._call("cuMemcpyHtoDAsync_v2", address, array.ctypes.data, array.nbytes, self.stream)

    def download(self, array: NDArray[Any], address: int) -> None:
        self._call("cuMemcpyDtoHAsync_v2", array.ctypes.data, address, array.nbytes, self.stream)

    def wait(self) -> None:
        self._call("cuStreamSynchronize", self.stream)

    def free(self, address: int) -> None:
        self._call("cuMemFree_v2", address)

    def _call(self, name: str, *arguments: object) -> None:
        if error := getattr(self._cuda, name)(*arguments):
            raise EngineError(f"plan: {name}: expected 0, got CUDA error {error}.")
