"""How TensorRT is told to build: shapes, targets, timing cache, and that FP32 is FP32.

The library comes as an argument: `tensorrt` 10 or 11, or `tensorrt_rtx`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from export.plans.plan import CacheUse, EngineError, write_whole
from export.plans.shapes import ranges
from export.spec import ModelSpec
from server.gpu import compute_capability

RTX = "tensorrt_rtx"
TURING = "7.5"  # RTX compiles no FP32 matrix multiplication for it, and every net of ours has one


def targets(trt: ModuleType, wanted: Sequence[str]) -> tuple[str, ...]:
    """The compute capabilities of a plan.

    `tensorrt` builds for the GPU that is there. RTX builds for all that it knows at once: by default
    without Turing, which has to be asked for.

    Raises:
        EngineError: wanted ones that this library cannot build for here.
    """
    if trt.__name__ == RTX:
        known = [f"{name[2:-1]}.{name[-1]}" for name in trt.ComputeCapability.__members__ if name.startswith("SM")]
    else:
        known = [gpu for gpu in [compute_capability()] if gpu]
    chosen = tuple(wanted) or tuple(capability for capability in known if trt.__name__ != RTX or capability != TURING)
    if not chosen or set(chosen) - set(known):
        raise EngineError(
            f"{trt.__name__} {trt.__version__}: compute capabilities: expected some of {', '.join(known) or 'no GPU'}, "
            f"got {', '.join(chosen) or 'none'}. Build where there is such a GPU."
        )
    return chosen


def configured(trt: ModuleType, builder: Any, spec: ModelSpec, capabilities: Sequence[str]) -> Any:
    """The builder's configuration; its layers can be inspected afterwards.

    TF32 is off in every plan. It is on by default and rounds the operands of FP32 multiplications to
    10 bits, which neither a plan called "fp32" nor what a mixed graph keeps in FP32 is meant to be.
    """
    config = builder.create_builder_config()
    config.clear_flag(trt.BuilderFlag.TF32)
    config.profiling_verbosity = trt.ProfilingVerbosity.DETAILED
    profile = builder.create_optimization_profile()
    for name, shape in ranges(spec).items():
        profile.set_shape(name, shape.smallest, shape.optimal, shape.largest)
    config.add_optimization_profile(profile)
    if trt.__name__ == RTX:
        config.num_compute_capabilities = len(capabilities)
        for index, capability in enumerate(capabilities):
            target = trt.ComputeCapability.__members__[f"SM{capability.replace('.', '')}"]
            config.set_compute_capability(target, index)
    return config


@dataclass(frozen=True, slots=True, kw_only=True)
class TimingCache:
    """What kernels took the last time, so that a second build for the same GPU is quick.

    Args:
        use: see Plan.timing_cache.
        file: where it is saved; None where there is none to save.
        times: the library's object, which must live until the plan is built.
    """

    use: CacheUse
    file: Path | None = None
    times: Any = None

    def save(self) -> None:
        if self.file is not None:
            write_whole(self.file, memoryview(self.times.serialize()))


def timing_cache(trt: ModuleType, config: Any, file: Path | None) -> TimingCache:
    """Attach the cache in a file, or a new one where there is none or it is of another GPU or version.

    RTX times nothing when it builds: its deprecated cache calls change no plan and ask for a GPU.
    Source: TensorRT-RTX, Timing Cache Migration.
    """
    if file is None:
        return TimingCache(use="")
    if trt.__name__ == RTX:
        return TimingCache(use="unused by tensorrt_rtx")
    stored = file.read_bytes() if file.is_file() else b""
    times = config.create_timing_cache(stored)
    if times is not None and config.set_timing_cache(times, False):
        return TimingCache(use="reused" if stored else "new", file=file, times=times)
    times = config.create_timing_cache(b"")
    config.set_timing_cache(times, False)
    return TimingCache(use="refused, new", file=file, times=times)
