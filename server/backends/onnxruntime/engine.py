"""What runs an ONNX file: onnxruntime on the CPU or on CUDA, or OpenVINO, as the config asks."""

from __future__ import annotations

import hashlib
import os
import platform
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import onnxruntime

from server.backends.onnxruntime.lanes import Array, Engine, Lanes
from server.backends.onnxruntime.options import ConfigError, Options
from server.machine import usable_cores

CACHE_VARIABLE = "MEDSERVE_CACHE_DIR"  # compiled models; unset: none are kept
CUDA_PROVIDER = "CUDAExecutionProvider"


class OnnxRuntimeEngine:
    """onnxruntime's CPU provider: FP32, the reference among the engines."""

    name = "onnxruntime CPU"

    def __init__(self, options: Options) -> None:
        self._session = onnxruntime.InferenceSession(
            options.file, sess_options=_session_options(options), providers=["CPUExecutionProvider"]
        )
        self._run_options = onnxruntime.RunOptions()
        if options.shrink_arena:
            self._run_options.add_run_config_entry("memory.enable_memory_arena_shrinkage", "cpu:0")

    def run(self, inputs: Mapping[str, Array], outputs: Sequence[str]) -> list[Array]:
        answers: list[Array] = self._session.run(list(outputs), dict(inputs), self._run_options)
        return answers


class CudaEngine:
    """onnxruntime's CUDA provider, and no other: what it cannot run there is an error, not the CPU's.

    Raises:
        ImportError: the provider is not installed, or does not run on this machine.
    """

    name = "onnxruntime CUDA"

    def __init__(self, options: Options) -> None:
        if CUDA_PROVIDER not in onnxruntime.get_available_providers():
            raise ImportError(f"expected onnxruntime-gpu, got an onnxruntime without {CUDA_PROVIDER}")
        if hasattr(onnxruntime, "preload_dlls"):
            onnxruntime.preload_dlls()  # CUDA's and cuDNN's libraries, where pip installed them
        settings = _session_options(options)
        settings.log_severity_level = 2  # why CUDA could not be had is a warning
        self._session = onnxruntime.InferenceSession(
            options.file, sess_options=settings, providers=[(CUDA_PROVIDER, dict(options.cuda or {}))]
        )
        self._session.disable_fallback()
        if (got := self._session.get_providers()[:1]) != [CUDA_PROVIDER]:
            raise ImportError(f"expected {CUDA_PROVIDER} to start, got {', '.join(got)}; see the warning above")

    def run(self, inputs: Mapping[str, Array], outputs: Sequence[str]) -> list[Array]:
        answers: list[Array] = self._session.run(list(outputs), dict(inputs))
        return answers


def _session_options(options: Options) -> onnxruntime.SessionOptions:
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = options.threads
    settings.inter_op_num_threads = options.inter_op_threads
    if options.parallel:
        settings.execution_mode = onnxruntime.ExecutionMode.ORT_PARALLEL
    settings.graph_optimization_level = getattr(onnxruntime.GraphOptimizationLevel, options.graph_level)
    settings.enable_cpu_mem_arena = options.arena
    settings.enable_mem_pattern = options.pattern
    settings.log_severity_level = 3
    # Idle threads that spin would take the cores from the other models' processes.
    settings.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return settings


class OpenVinoEngine:
    """OpenVINO's CPU plug-in: runs an FP32 file in bf16 where the CPU has units for it.

    The runtime itself and not onnxruntime's plug-in for it: that offers no device unless the CPU's
    vendor is Intel, while the runtime serves any x86-64 (DECISIONS.md).

    Args:
        compiled: by `compile_openvino`.
    """

    def __init__(self, compiled: Any) -> None:
        self.precision: str = compiled.get_property("INFERENCE_PRECISION_HINT").to_string()  # "f32" or "bf16"
        self.name = f"OpenVINO CPU ({self.precision})"
        self._places = {name: place for place, port in enumerate(compiled.outputs) for name in port.get_names()}
        self._request = compiled.create_infer_request()

    def run(self, inputs: Mapping[str, Array], outputs: Sequence[str]) -> list[Array]:
        # The request owns its output memory and writes over it at the next run.
        self._request.infer(dict(inputs), share_inputs=True)
        return [self._request.get_output_tensor(self._places[name]).data.copy() for name in outputs]


def compile_openvino(options: Options, streams: int) -> Any:
    """The file as OpenVINO will run it.

    Args:
        options: see Options.
        streams: runs at once, each on its share of the cores.
    """
    # Its wheel brings a usage reporter and imports it where it can. Not beside patients' pictures.
    sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]
    import openvino

    settings: dict[str, str] = {
        "PERFORMANCE_HINT": "LATENCY" if streams == 1 else "THROUGHPUT",
        "NUM_STREAMS": str(streams),
        # Every process would nail its threads to the same first cores, whatever else runs there.
        "ENABLE_CPU_PINNING": "NO",
    }
    if threads := options.threads or (streams if streams > 1 else 0):
        settings["INFERENCE_NUM_THREADS"] = str(threads)
    if cache := os.environ.get(CACHE_VARIABLE):
        # OpenVINO tells files apart by path, size and time. Two trainings of one network differ in
        # none of them once a copy or an image layer has set the time: only the content will do.
        settings["CACHE_DIR"] = str(Path(cache, _sha256(options.file)))
    # Resolved: the launcher's links bear its process id, and the path is part of the cache's key.
    return openvino.Core().compile_model(options.file.resolve(), "CPU", settings)


def _sha256(file: Path) -> str:
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def open_engine(options: Options) -> Engine:
    """Load the file into the engine that its config asks for, and into no other: it was compared on that one.

    Raises:
        ConfigError: that engine is not here, or cannot load the file.
    """
    wanted = "OpenVINO" if options.openvino else "onnxruntime" if options.cuda is None else "onnxruntime on CUDA"
    try:
        if options.cuda is not None:
            return CudaEngine(options)
        return _openvino(options) if options.openvino else _onnxruntime(options)
    except Exception as exc:  # each engine raises classes of its own for each kind of broken file
        first_line = str(exc).strip().splitlines()[0] if str(exc).strip() else ""
        raise ConfigError(
            f"{options.file}: expected {wanted} to load it, got {type(exc).__name__}: {first_line}. Export it again."
        ) from exc


def _onnxruntime(options: Options) -> Engine:
    whole, cores = OnnxRuntimeEngine(options), options.threads or usable_cores()
    if not options.lane_batch or cores == 1:
        return whole
    lane = OnnxRuntimeEngine(replace(options, threads=1))  # may be run by several threads at once
    return Lanes(whole, [lane] * cores, options.lane_batch)


def _openvino(options: Options) -> Engine:
    if platform.machine() != "x86_64":
        raise ImportError(f"OpenVINO serves x86-64 here, this CPU is {platform.machine()}")
    whole, cores = OpenVinoEngine(compile_openvino(options, 1)), options.threads or usable_cores()
    if not options.lane_batch or cores == 1:
        return whole
    compiled = compile_openvino(replace(options, threads=cores), cores)
    return Lanes(whole, [OpenVinoEngine(compiled) for _ in range(cores)], options.lane_batch)


def signature(file: Path) -> tuple[list[onnxruntime.NodeArg], list[onnxruntime.NodeArg]]:
    """(inputs, outputs) of an ONNX file, for a config that leaves them out."""
    settings = onnxruntime.SessionOptions()
    settings.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(file, sess_options=settings, providers=["CPUExecutionProvider"])
    return session.get_inputs(), session.get_outputs()
