"""What decides the numbers that a file becomes: this package, and the libraries that decode and resize for it."""

from __future__ import annotations

import json
from hashlib import sha256
from importlib.metadata import PackageNotFoundError, version

from PIL import features

from preprocess import VERSION

DECODERS = ("libjpeg_turbo", "jpg", "jpg_2000", "libtiff", "webp", "zlib")  # inside Pillow
LIBRARIES = ("numpy", "pillow", "pydicom", "pylibjpeg", "pylibjpeg-libjpeg", "pylibjpeg-openjpeg", "rdkit")


def identity() -> dict[str, str]:
    """Name → version. Two machines where all are equal make the same tensor of the same file, bit for bit."""
    inside = {name: str(features.version(name)) for name in DECODERS}
    return {"preprocess": VERSION} | {name: _installed(name) for name in LIBRARIES} | inside


def stamp() -> str:
    """VERSION and a digest of `identity()`: what stands in every report."""
    return f"{VERSION}-{sha256(json.dumps(identity(), sort_keys=True).encode()).hexdigest()[:12]}"


def _installed(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "absent"
