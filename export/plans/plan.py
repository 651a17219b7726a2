"""A TensorRT plan: its file and its name, and which server may load it."""

from __future__ import annotations

import os
import re
from pathlib import Path
from types import ModuleType
from typing import Literal

Precision = Literal["fp32", "fp16", "int8"]
CacheUse = Literal["", "new", "reused", "refused, new", "unused by tensorrt_rtx"]

# T4, A100, A10, L4 and L40S, H100 and H200, B200, B300, RTX PRO 6000, GB10: what Triton's images run on.
COMPUTE_CAPABILITIES = ("7.5", "8.0", "8.6", "8.9", "9.0", "10.0", "10.3", "12.0", "12.1")

_CAPABILITY = re.compile(r"([1-9]\d*)\.(\d)")
_VERSION = re.compile(r"\d+\.\d+\.\d+(\.\d+)?")


class EngineError(ValueError):
    """A plan that was not built, or is not what was asked for."""


def plan_name(compute_capability: str) -> str:
    """The file that Triton's `cc_model_filenames` gives for a GPU: "9.0" → "sm90.plan".

    Triton looks for the exact key "major.minor" and else loads `default_model_filename`.

    Raises:
        ValueError: not "major.minor".
    """
    if not (match := _CAPABILITY.fullmatch(compute_capability)):
        raise ValueError(f"compute capability: expected major.minor as in '9.0', got {compute_capability!r}.")
    return f"sm{match[1]}{match[2]}.plan"


def library_version(trt: ModuleType) -> str:
    """Return the library and its version as `Plan.library` has them: "tensorrt 11.4.0.106".

    Args:
        trt: `tensorrt`, `tensorrt_rtx`, or the bindings alone, which take TensorRT's library from the image.
    """
    return f"{trt.__name__.removesuffix('_bindings')} {trt.__version__}"


def check_served_by(library: str, server_version: str) -> None:
    """Refuse a plan that a server's TensorRT would not load.

    A plan that is not built VERSION_COMPATIBLE, and ours are not, needs the version that built it.

    Args:
        library: `Plan.library`.
        server_version: TensorRT's in the server's image, as its release notes give it: "10.12.0.36";
            the build number may be missing.

    Raises:
        EngineError: another library or version.
        ValueError: a version that is not one.
    """
    name, _, version = library.partition(" ")
    for got in (version, server_version):
        if not _VERSION.fullmatch(got):
            raise ValueError(f"TensorRT version: expected numbers as in '10.12.0.36', got {got!r}.")
    if name != "tensorrt":
        raise EngineError(f"plan: expected one built by tensorrt {server_version}, got {library}, {_REBUILD}")
    if any(a != b for a, b in zip(version.split("."), server_version.split("."), strict=False)):
        raise EngineError(
            f"plan: expected one built by the server's TensorRT {server_version}, got {version}: "
            "a plan needs the very version that built it. Build it again with the server's, or serve that image."
        )


_REBUILD = "which Triton cannot load. Build it with `tensorrt` on the server's kind of GPU."


def write_whole(file: Path, content: bytes | memoryview) -> None:
    """Write a file whole or not at all: what was there before stays until the last byte is on disk."""
    partial = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        with partial.open("wb") as out:
            out.write(content)
            out.flush()
            os.fsync(out.fileno())
        partial.replace(file)
    finally:
        partial.unlink(missing_ok=True)
