"""The tritonserver inside the nvidia-pytriton wheel: where it is, and what it needs around it."""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path

from report.answer import PROFILE_VARIABLE

PACKAGES = Path(__file__).resolve().parent.parent  # where our packages are imported from
OUR_BACKEND = Path(__file__).resolve().parent / "backends" / "onnxruntime" / "model.py"


class WheelError(RuntimeError):
    """The wheel is missing, or has no Triton for this Python."""


@dataclass(frozen=True, slots=True)
class Wheel:
    """Paths inside the installed wheel.

    Args:
        server: the program.
        backend: its python backend's folder.
        stub: the worker program for this Python's version.
        libraries: shared libraries that the program is linked against.
    """

    server: Path
    backend: Path
    stub: Path
    libraries: Path


def find_wheel() -> Wheel:
    """Locate the installed wheel without importing it.

    Raises:
        WheelError: not installed, or no stub for this Python.
    """
    spec = importlib.util.find_spec("pytriton")
    if spec is None or spec.origin is None:
        raise WheelError("expected the package nvidia-pytriton, found none. Run `make setup`.")
    package = Path(spec.origin).parent
    triton = package / "tritonserver"
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    stub = triton / "python_backend_stubs" / version / "triton_python_backend_stub"
    if not stub.is_file():
        found = ", ".join(sorted(path.name for path in (triton / "python_backend_stubs").glob("3.*")))
        raise WheelError(f"expected a Triton worker for Python {version}; the wheel has {found}")
    return Wheel(
        server=triton / "bin" / "tritonserver",
        backend=triton / "backends" / "python",
        stub=stub,
        libraries=package.parent / "nvidia_pytriton.libs",
    )


def lay_out_backends(wheel: Wheel, folder: Path) -> None:
    """Make the backend directory that Triton is pointed at: `python`, and our `onnxruntime`.

    Copies, not links: Triton makes its worker executable in place, which a read-only installation
    would refuse.
    """
    python, ours = folder / "python", folder / "onnxruntime"
    python.mkdir(parents=True)
    ours.mkdir()
    for name in ("libtriton_python.so", "triton_python_backend_utils.py"):
        shutil.copy(wheel.backend / name, python)
    shutil.copy(wheel.stub, python)
    (python / wheel.stub.name).chmod(0o755)
    shutil.copy(OUR_BACKEND, ours)


def environment(wheel: Wheel, cache: Path, profile: str) -> dict[str, str]:
    """The server's environment: this interpreter for its workers, our packages, a compile cache."""
    own = dict(os.environ)
    libpython = sysconfig.get_config_var("LIBDIR") or ""
    site = sysconfig.get_paths()["purelib"]
    own["LD_LIBRARY_PATH"] = os.pathsep.join(
        filter(None, (str(wheel.libraries), libpython, own.get("LD_LIBRARY_PATH")))
    )
    own["PYTHONPATH"] = os.pathsep.join((str(PACKAGES), site))
    # The worker embeds the `python3` that it finds first.
    own["PATH"] = os.pathsep.join((str(Path(sys.prefix, "bin")), own.get("PATH", "")))
    own["MEDSERVE_CACHE_DIR"] = str(cache)
    own[PROFILE_VARIABLE] = profile
    own["PYTHONDONTWRITEBYTECODE"] = "1"
    return own
