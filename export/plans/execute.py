"""A TensorRT plan on the GPU it was built for, run as the server's backend would run it.

The library comes as an argument; the GPU's memory is torch's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import ModuleType
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from export.plans.plan import EngineError


class PlanEngine:
    """One plan, loaded.

    Args:
        trt: the library that built it.
        engine: what it deserialised.
        device: torch's name of where the memory lies.

    Raises:
        EngineError: torch reaches no GPU.
    """

    name = "tensorrt"

    def __init__(self, trt: ModuleType, engine: Any, device: str = "cuda") -> None:
        if device == "cuda" and not torch.cuda.is_available():
            raise EngineError(
                f"plan: expected a torch with CUDA, to compare the plan's answers before it serves, got torch "
                f"{torch.__version__} without. Install torch's CUDA build beside {trt.__name__}."
            )
        self._trt, self._engine, self._device = trt, engine, device
        self._context = engine.create_execution_context()

    def run(self, inputs: Mapping[str, NDArray[np.generic]], outputs: Sequence[str]) -> list[NDArray[Any]]:
        """The outputs that are asked for, in that order; the plan computes all.

        Args:
            inputs: by name, [N, ...], within the shapes that the plan was built for.
            outputs: names.

        Raises:
            EngineError: a shape that the plan does not take, or a run that failed.
        """
        sent = {name: torch.from_numpy(np.ascontiguousarray(array)).to(self._device) for name, array in inputs.items()}
        for name, tensor in sent.items():
            if not self._context.set_input_shape(name, tuple(tensor.shape)):
                raise EngineError(f"plan: {name}: expected a shape of its profile, got {tuple(tensor.shape)}.")
        held = sent | {name: self._room(name) for name in self._names() if name not in sent}
        for name, tensor in held.items():
            self._context.set_tensor_address(name, tensor.data_ptr())
        stream = torch.cuda.Stream() if self._device == "cuda" else None
        if stream is not None:
            torch.cuda.synchronize()  # the inputs are there
        if not self._context.execute_async_v3(stream.cuda_stream if stream is not None else 0):
            raise EngineError("plan: expected answers, got none: the run failed.")
        if stream is not None:
            stream.synchronize()
        return [held[name].cpu().numpy() for name in outputs]

    def _names(self) -> list[str]:
        return [self._engine.get_tensor_name(index) for index in range(self._engine.num_io_tensors)]

    def _room(self, name: str) -> torch.Tensor:
        """Memory for an output, of the shape that it has for these inputs."""
        dtype = np.dtype(self._trt.nptype(self._engine.get_tensor_dtype(name)))
        empty = np.empty(tuple(self._context.get_tensor_shape(name)), dtype)
        return torch.from_numpy(empty).to(self._device)
