"""What is recorded of a TensorRT plan."""

from __future__ import annotations

from dataclasses import dataclass

from report.comparison import Comparison


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """One plan and what it was made of.

    Args:
        file: its name.
        size_bytes: of the file.
        sha256: of the file.
        library: the package that built it, with its version: "tensorrt_rtx 1.7.1.116".
        compute_capabilities: of the GPUs that can load it.
        precision: what was asked for, and found.
        onnx: name of the file it was built from.
        onnx_sha256: of that file; its fingerprint is made of the weights, wherever they lie.
        batch: smallest, optimal and largest.
        layers: of the layers that multiply: type → precision → how many.
        checked_by: where the layers were read: "engine inspector", or "network", the strongly typed one
            whose types the plan has to keep.
        timing_cache: "" where none was asked for.
        build_s: seconds in the builder.
        comparison: of its answers on the GPU that it serves; None of a plan that serves none.
    """

    file: str
    size_bytes: int
    sha256: str
    library: str
    compute_capabilities: tuple[str, ...]
    precision: str
    onnx: str
    onnx_sha256: str
    batch: tuple[int, int, int]
    layers: dict[str, dict[str, int]]
    checked_by: str
    timing_cache: str
    build_s: float
    comparison: Comparison | None = None
