"""What decides the numbers that a file becomes: this package, and the libraries that decode and resize for it."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

from preprocess import VERSION

LIBRARIES = ("numpy", "pillow", "pydicom", "pylibjpeg", "pylibjpeg-libjpeg", "pylibjpeg-openjpeg", "rdkit")


def identity() -> dict[str, str]:
    """Name → version. Two machines where all are equal make the same tensor of the same file, bit for bit."""
    return {"preprocess": VERSION} | {name: _installed(name) for name in LIBRARIES}


def _installed(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "absent"
