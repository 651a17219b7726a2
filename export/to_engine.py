"""An ONNX file → a TensorRT plan of the precision that was asked for, or none.

The only module that imports `tensorrt` or `tensorrt_rtx`. Precision is never a builder flag: it is
in the ONNX graph, networks are strongly typed, and what came out is checked.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

from export.digest import sha256_of
from export.plans.check import ARITHMETIC, Layer, check_precision, check_tensors, counts, inspected
from export.plans.config import configured, targets, timing_cache
from export.plans.execute import PlanEngine
from export.plans.network import Parsed, layers, parse, tensors
from export.plans.plan import CacheUse, EngineError, Precision, library_version, write_whole
from export.plans.shapes import batch_range, ranges
from export.spec import ModelSpec
from report.plan import Plan
from server.gpu import compute_capability

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What is to be built.

    Args:
        onnx: the file that has the precision.
        spec: its tensors and its largest batch.
        precision: what the file is meant to be.
        capabilities: of the GPUs that shall load the plan, as "8.9"; empty: see `builder_config.targets`.
        timing_cache: read before and written after the build, where the library has one.
    """

    onnx: Path
    spec: ModelSpec
    precision: Precision
    capabilities: Sequence[str] = ()
    timing_cache: Path | None = None


def library() -> ModuleType:
    """`tensorrt` where there is a GPU to build for, else `tensorrt_rtx`, which needs none.

    Raises:
        ValueError: neither is installed.
    """
    if compute_capability():
        for name in ("tensorrt", "tensorrt_bindings"):  # NVIDIA's Triton image has the library without the first
            with contextlib.suppress(ImportError):
                return importlib.import_module(name)
        _LOG.warning("a GPU, but no tensorrt: building with tensorrt_rtx, whose plans Triton does not load")
    try:
        import tensorrt_rtx
    except ImportError as exc:
        raise ValueError(
            "TensorRT: expected the package tensorrt and a GPU, or tensorrt_rtx, got neither. "
            "`pip install tensorrt` on the server's kind of GPU, `pip install tensorrt-rtx-cu13` elsewhere."
        ) from exc
    return tensorrt_rtx


def build_plan(order: Order, file: Path, clock: Callable[[], float] = time.perf_counter) -> Plan:
    """Build, check and write one plan.

    Args:
        order: see Order.
        file: the plan to be written, whole or not at all.
        clock: in seconds.

    Raises:
        EngineError: the graph, its tensors or its precision are not what was asked for, or nothing was built.
        ValueError: no TensorRT is installed.
    """
    trt = library()
    capabilities = targets(trt, order.capabilities)
    builder = trt.Builder(_logger(trt))
    parsed = parse(trt, builder, _logger(trt), order.onnx)
    check_tensors(order.onnx.name, order.spec, *tensors(parsed.network))
    found = layers(parsed.network)
    check_precision(order.onnx.name, found, order.precision)
    started = clock()
    content, cache_use = _build(trt, builder, parsed, order, capabilities)
    seconds = clock() - started
    seen = _inspect(trt, content, order.spec) if compute_capability() in capabilities else []
    if seen:
        check_precision(file.name, seen, order.precision)
    write_whole(file, content)
    return Plan(
        file=file.name,
        size_bytes=content.nbytes,
        sha256=hashlib.sha256(content).hexdigest(),
        library=library_version(trt),
        compute_capabilities=capabilities,
        precision=order.precision,
        onnx=order.onnx.name,
        onnx_sha256=sha256_of(order.onnx),
        batch=batch_range(order.spec),
        layers=counts(seen or found),
        checked_by="engine inspector" if seen else "network",
        timing_cache=cache_use,
        build_s=round(seconds, 2),
    )


def _build(
    trt: ModuleType, builder: Any, parsed: Parsed, order: Order, capabilities: Sequence[str]
) -> tuple[memoryview, CacheUse]:
    """The plan's bytes and how the timing cache was used."""
    config = configured(trt, builder, order.spec, capabilities)
    times = timing_cache(trt, config, order.timing_cache)
    _logger(trt).errors.clear()
    built = builder.build_serialized_network(parsed.network, config)
    if built is None:
        raise EngineError(
            f"{order.onnx.name}: expected a plan for {', '.join(capabilities)}, "
            f"got none: {'; '.join(_logger(trt).errors)}."
        )
    times.save()
    return memoryview(built), times.use


def _inspect(trt: ModuleType, content: memoryview, spec: ModelSpec) -> list[Layer]:
    """What the engine inspector tells of a plan's layers; nothing where it tells of none that multiplies.

    Loading a plan takes a GPU, with RTX too.
    """
    engine = _loaded(trt, content)
    context = engine.create_execution_context()
    for name, shape in ranges(spec).items():  # without them dynamic layers tell no types
        context.set_input_shape(name, shape.optimal)
    inspector = engine.create_engine_inspector()
    inspector.execution_context = context
    seen = inspected(inspector.get_engine_information(trt.LayerInformationFormat.JSON))
    return seen if any(layer.type in ARITHMETIC for layer in seen) else []


def open_plan(file: Path) -> PlanEngine:
    """A plan on this machine's GPU.

    Raises:
        EngineError: it does not load here, or no GPU answers.
    """
    trt = library()
    return PlanEngine(trt, _loaded(trt, memoryview(file.read_bytes())))


def _loaded(trt: ModuleType, content: memoryview) -> Any:
    _logger(trt).errors.clear()
    engine = _runtime(trt).deserialize_cuda_engine(content)
    if engine is None:
        raise EngineError(f"plan: expected one that this GPU loads, got none: {'; '.join(_logger(trt).errors)}.")
    return engine


@cache
def _runtime(trt: ModuleType) -> Any:
    """One for all: it must outlive every engine that it loaded."""
    return trt.Runtime(_logger(trt))


@cache
def _logger(trt: ModuleType) -> Any:
    """Keeps errors for our sentences. One for all: the library keeps using the first that it is given."""

    class Logger(trt.ILogger):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            trt.ILogger.__init__(self)
            self.errors: list[str] = []

        def log(self, severity: Any, message: str) -> None:
            if severity in (trt.ILogger.INTERNAL_ERROR, trt.ILogger.ERROR):
                self.errors.append(message.strip())
            elif severity == trt.ILogger.WARNING:
                _LOG.warning("%s: %s", trt.__name__, message.strip())

    return Logger()
