"""The part of a model's config.pbtxt that decides how its ONNX file is run.

Names and meanings are those of NVIDIA's C++ onnxruntime backend, so that one config serves both.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

DEFAULT_FILENAME = "model.onnx"
# `optimization { graph { level } }`: -1 basic, 1 extended, 2 none; absent: all.
GRAPH_LEVELS = {-1: "ORT_ENABLE_BASIC", 1: "ORT_ENABLE_EXTENDED", 2: "ORT_DISABLE_ALL"}
LANE_BATCH = "lane_batch_size"  # ours alone: the C++ backend passes over what it does not know
THREADS = "intra_op_thread_count"
_ARENA = "memory.enable_memory_arena_shrinkage"
CUDA = "cuda"  # the GPU accelerator
# Options of onnxruntime's CUDA provider that the C++ backend reads from `parameters`, as numbers: the provider's words.
CUDA_PARAMETERS: Mapping[str, Mapping[str, str] | None] = {
    "cudnn_conv_algo_search": {"0": "EXHAUSTIVE", "1": "HEURISTIC", "2": "DEFAULT"},
    "arena_extend_strategy": {"0": "kNextPowerOfTwo", "1": "kSameAsRequested"},
    "gpu_mem_limit": None,  # bytes
}
KNOWN_PARAMETERS = (
    THREADS,
    "inter_op_thread_count",
    "execution_mode",
    "enable_mem_arena",
    "enable_mem_pattern",
    _ARENA,
    LANE_BATCH,
    *CUDA_PARAMETERS,
)


class ConfigError(ValueError):
    """A config.pbtxt that this backend cannot obey."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How to run one ONNX file.

    Args:
        file: the artefact.
        threads: within an operator; 0 lets the engine take every core.
        inter_op_threads: between operators, in parallel execution.
        parallel: run independent operators at once.
        graph_level: name of onnxruntime's GraphOptimizationLevel.
        arena, pattern: onnxruntime's CPU memory arena and memory pattern.
        shrink_arena: give the arena's memory back after each run.
        openvino: whether the config asks for the OpenVINO accelerator.
        lane_batch: see Lanes; 0: a batch is run as one.
        cuda: options of onnxruntime's CUDA provider; None: the config asks for a CPU.
    """

    file: Path
    threads: int = 0
    inter_op_threads: int = 0
    parallel: bool = False
    graph_level: str = "ORT_ENABLE_ALL"
    arena: bool = True
    pattern: bool = True
    shrink_arena: bool = False
    openvino: bool = False
    lane_batch: int = 0
    cuda: Mapping[str, str] | None = None


def from_config(config: Mapping[str, Any], version_folder: Path) -> Options:
    """Read Triton's JSON form of a config.

    Args:
        config: as in `args["model_config"]`.
        version_folder: where the model's files are.

    Raises:
        ConfigError: an unknown accelerator, a value that is not a number, or no such file.
    """
    name = config.get("name", "?")
    parameters = {key: value.get("string_value", "") for key, value in config.get("parameters", {}).items()}
    optimization = config.get("optimization", {})
    level = int(optimization.get("graph", {}).get("level", 0))
    file = version_folder / (config.get("default_model_filename") or DEFAULT_FILENAME)
    if not file.is_file():
        raise ConfigError(f"{name}: expected the artefact {file.name} in {version_folder}, found none. Export it.")
    return Options(
        file=file,
        threads=_number(name, parameters, THREADS, 0),
        inter_op_threads=_number(name, parameters, "inter_op_thread_count", 0),
        parallel=bool(_number(name, parameters, "execution_mode", 0)),
        graph_level=GRAPH_LEVELS.get(level, "ORT_ENABLE_ALL"),
        arena=bool(_number(name, parameters, "enable_mem_arena", 1)),
        pattern=bool(_number(name, parameters, "enable_mem_pattern", 1)),
        shrink_arena=bool(parameters.get(_ARENA)),
        openvino=_accelerated(name, optimization),
        lane_batch=_number(name, parameters, LANE_BATCH, 0),
        cuda=_cuda(name, config, parameters),
    )


def _accelerated(name: str, optimization: Mapping[str, Any]) -> bool:
    wanted = optimization.get("execution_accelerators", {}).get("cpu_execution_accelerator", [])
    names = [accelerator["name"] for accelerator in wanted]
    if unknown := [other for other in names if other != "openvino"]:
        raise ConfigError(f"{name}: cpu_execution_accelerator: expected openvino, got {', '.join(unknown)}")
    return bool(names)


def _cuda(name: str, config: Mapping[str, Any], parameters: Mapping[str, str]) -> Mapping[str, str] | None:
    """Options of the CUDA provider, from the accelerator and from `parameters`, as the C++ backend merges them."""
    if not any(group.get("kind") == "KIND_GPU" for group in config.get("instance_group", [])):
        return None
    found: dict[str, str] = {}
    accelerators = config.get("optimization", {}).get("execution_accelerators", {})
    for accelerator in accelerators.get("gpu_execution_accelerator", []):
        if accelerator["name"] != CUDA:
            raise ConfigError(f"{name}: gpu_execution_accelerator: expected {CUDA}, got {accelerator['name']}")
        found |= accelerator.get("parameters", {})
    for key, words in CUDA_PARAMETERS.items():
        if text := parameters.get(key):
            if words is not None and text not in words:
                raise ConfigError(f"{name}: parameters.{key}: expected one of {', '.join(words)}, got {text!r}")
            found[key] = words[text] if words is not None else str(_number(name, parameters, key, 0))
    return found


def _number(model: str, parameters: Mapping[str, str], key: str, default: int) -> int:
    text = parameters.get(key)
    if not text:
        return default
    try:
        return int(text)
    except ValueError as exc:
        raise ConfigError(f"{model}: parameters.{key}: expected a whole number, got {text!r}") from exc
