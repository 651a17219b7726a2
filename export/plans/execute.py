"""A TensorRT plan on the GPU it was built for, run as the server's backend would run it. The library is an argument."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from export.plans.memory import GpuMemory, Memory
from export.plans.plan import EngineError


class PlanEngine:
    """One plan, loaded.

    Args:
        trt: the library that built it.
        engine: what it deserialized.
        memory: where inputs and outputs lie; None: on the first GPU.

    Raises:
        EngineError: no GPU answers.
    """

    name = "tensorrt"

    def __init__(self, trt: ModuleType, engine: Any, memory: Memory | None = None) -> None:
        self._memory = memory or GpuMemory()
        self._trt, self._engine = trt, engine
        self._context = engine.create_execution_context()

    def run(self, inputs: Mapping[str, NDArray[np.generic]], outputs: Sequence[str]) -> list[NDArray[Any]]:
        """Return the requested outputs, in that order; the plan computes all.

        Args:
            inputs: by name, [N, ...], within the shapes that the plan was built for.
            outputs: names.

        Raises:
            EngineError: a shape that the plan does not take, or a run that failed.
        """
        sent = {name: np.ascontiguousarray(array) for name, array in inputs.items()}
        for name, array in sent.items():
            if not self._context.set_input_shape(name, tuple(array.shape)):
                raise EngineError(f"plan: {name}: expected a shape of its profile, got {tuple(array.shape)}.")
        computed = {name: self._empty(name) for name in self._names() if name not in sent}
        addresses: dict[str, int] = {}
        try:
            for name, array in (sent | computed).items():
                addresses[name] = self._memory.allocate(array.nbytes)
                self._context.set_tensor_address(name, addresses[name])
            for name, array in sent.items():
                self._memory.upload(addresses[name], array)
            if not self._context.execute_async_v3(self._memory.stream):
                raise EngineError("plan: expected answers, got none: the run failed.")
            for name in outputs:
                self._memory.download(computed[name], addresses[name])
            self._memory.wait()
        finally:
            for address in addresses.values():
                self._memory.free(address)
        return [computed[name] for name in outputs]

    def _names(self) -> list[str]:
        return [self._engine.get_tensor_name(index) for index in range(self._engine.num_io_tensors)]

    def _empty(self, name: str) -> NDArray[Any]:
        """An array for an output, of the shape that it has for these inputs."""
        dtype = np.dtype(self._trt.nptype(self._engine.get_tensor_dtype(name)))
        return np.empty(tuple(self._context.get_tensor_shape(name)), dtype)
