"""The shapes that a plan is built for: TensorRT wants a smallest, an optimal and a largest one."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module

from export.spec import ModelSpec, Step, Tensor

OPTIMAL_BATCH = 8  # what kernels are tuned for, where the net takes as many


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """Smallest, optimal and largest shape of one input, with the batch axis."""

    smallest: tuple[int, ...]
    optimal: tuple[int, ...]
    largest: tuple[int, ...]


def batch_range(spec: ModelSpec) -> tuple[int, int, int]:
    """Smallest, optimal and largest batch."""
    return 1, min(OPTIMAL_BATCH, spec.max_batch), spec.max_batch


def ranges(spec: ModelSpec) -> dict[str, Range]:
    """Of every input of the net, by name; a -1 of its dims takes the sizes of the step's buckets."""
    sizes = _sizes(spec.step) if any(-1 in tensor.dims for tensor in spec.step.outputs) else (0, 0, 0)
    return {tensor.name: _range(tensor, batch_range(spec), sizes) for tensor in spec.step.outputs}


def _range(tensor: Tensor, batches: tuple[int, int, int], sizes: tuple[int, int, int]) -> Range:
    smallest, optimal, largest = (
        (batch, *(size if length < 0 else length for length in tensor.dims))
        for batch, size in zip(batches, sizes, strict=True)
    )
    return Range(smallest=smallest, optimal=optimal, largest=largest)


def _sizes(step: Step) -> tuple[int, int, int]:
    """Smallest, optimal and largest size that the step pads to.

    Raises:
        ValueError: its module states no BUCKETS, so nobody knows how large a plan must be.
    """
    module = step.function.partition(":")[0]
    buckets: tuple[int, ...] = getattr(import_module(module), "BUCKETS", ())
    if not buckets:
        raise ValueError(
            f"step {step.name}: outputs: expected {module}.BUCKETS with the sizes that a -1 stands for, got none."
        )
    ordered = sorted(buckets)
    return ordered[0], ordered[(len(ordered) - 1) // 2], ordered[-1]
