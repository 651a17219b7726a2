"""Auto-completed configs: inputs, outputs and batching of a model, read from its ONNX file."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

# onnxruntime's type names → Triton's. FP64 and the rest as in the C++ backend; no strings.
TRITON_TYPES = {
    "tensor(bool)": "TYPE_BOOL",
    "tensor(uint8)": "TYPE_UINT8",
    "tensor(uint16)": "TYPE_UINT16",
    "tensor(uint32)": "TYPE_UINT32",
    "tensor(uint64)": "TYPE_UINT64",
    "tensor(int8)": "TYPE_INT8",
    "tensor(int16)": "TYPE_INT16",
    "tensor(int32)": "TYPE_INT32",
    "tensor(int64)": "TYPE_INT64",
    "tensor(float16)": "TYPE_FP16",
    "tensor(float)": "TYPE_FP32",
    "tensor(double)": "TYPE_FP64",
}
DEFAULT_MAX_BATCH = 4  # the C++ backend's `default-max-batch-size`


class Node(Protocol):
    """An input or output of an ONNX file, as onnxruntime gives it."""

    name: str
    type: str
    shape: Sequence[int | str | None]


def complete(config: Any, inputs: Sequence[Node], outputs: Sequence[Node]) -> None:
    """Fill Triton's ModelConfig object from a file's signature.

    A file whose tensors all have a free first axis is taken to batch along it. What the config
    already says is left to Triton, which compares.

    Raises:
        ValueError: a tensor of a type that this backend cannot serve.
    """
    given = config.as_dict()
    batchable = all(node.shape and not isinstance(node.shape[0], int) for node in (*inputs, *outputs))
    batch = given.get("max_batch_size", 0)
    if not batch and batchable and not given.get("input") and not given.get("output"):
        batch = DEFAULT_MAX_BATCH
    config.set_max_batch_size(batch)
    if batch:
        config.set_dynamic_batching()
    if not given.get("input"):
        for node in inputs:
            config.add_input(_tensor(node, batched=batch > 0))
    if not given.get("output"):
        for node in outputs:
            config.add_output(_tensor(node, batched=batch > 0))


def _tensor(node: Node, *, batched: bool) -> dict[str, Any]:
    if node.type not in TRITON_TYPES:
        raise ValueError(f"{node.name}: expected a numeric tensor, got {node.type}")
    dims = [size if isinstance(size, int) else -1 for size in node.shape]
    return {"name": node.name, "data_type": TRITON_TYPES[node.type], "dims": dims[1:] if batched else dims}
