"""The TensorRT that is installed here as a library: plans load in its version alone.

`python -m server.nvinfer` prints the version, for what is built in the server's image.
"""

from __future__ import annotations

import ctypes
import sys

LIBRARIES = ("libnvinfer.so.11", "libnvinfer.so.10")
_TENS = 100  # 110400 is 11.4.0: two digits for each of the last two parts


def library_version() -> str:
    """Return "11.4.0", or "" where there is none.

    Source: TensorRT's NvInferRuntimeCommon.h, getInferLibVersion.
    """
    for name in LIBRARIES:
        try:
            library = ctypes.CDLL(name)
        except OSError:
            continue
        rest, patch = divmod(int(library.getInferLibVersion()), _TENS)
        major, minor = divmod(rest, _TENS)
        return f"{major}.{minor}.{patch}"
    return ""


def main() -> int:
    """Return the exit status: 1 where no TensorRT is installed."""
    if not (version := library_version()):
        print(f"nvinfer: expected one of {', '.join(LIBRARIES)}, found none. Use NVIDIA's image.", file=sys.stderr)
        return 1
    print(version)
    return 0


if __name__ == "__main__":
    sys.exit(main())
