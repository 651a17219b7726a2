"""Stand-ins for what a machine with a GPU has: the driver's and TensorRT's libraries in C, TensorRT's Python module."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

SOURCES = Path(__file__).parent


def compiled(name: str, folder: Path) -> Path:
    """Compile a C file of this folder into a shared library ("libcuda.so.1": libcuda.c); skip without a compiler."""
    if (compiler := shutil.which("cc")) is None:
        pytest.skip("needs a C compiler (cc) for a stand-in of the driver")
    library = folder / name
    source = SOURCES / f"{name.partition('.')[0]}.c"
    subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-Wl,-soname," + name, "-o", library, source], check=True)
    return library
