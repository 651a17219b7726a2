"""The tritonserver that is installed here, NVIDIA's image's or a wheel's: where it is, and what it needs around it."""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path

from report.answer import GPU_VARIABLE, PROFILE_VARIABLE
from server.gpu import compute_capability

IMAGE = Path("/opt/tritonserver")  # where NVIDIA's images have it
PACKAGES = Path(__file__).resolve().parent.parent  # where our packages are imported from
OUR_BACKEND = Path(__file__).resolve().parent / "backends" / "onnxruntime" / "model.py"
GPU_BACKENDS = ("onnxruntime", "tensorrt")
POOLS = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")  # variables: threads of a library's pool


class InstallationError(RuntimeError):
    """No Triton is installed, or none for this Python."""


@dataclass(frozen=True, slots=True)
class Installation:
    """Paths of an installed tritonserver.

    Args:
        server: the program.
        backends: folder of the backends that came with it.
        stub: the python backend's worker program for this Python's version.
        libraries: shared libraries that the program is linked against; None where the system finds them.
        image: whether it is NVIDIA's image's, which is made for networks and has backends of its own for GPUs.
        gpus: whether networks can run on a GPU here: in the image's backends, or on CUDA in our own.
    """

    server: Path
    backends: Path
    stub: Path
    libraries: Path | None
    image: bool
    gpus: bool


def find_triton(image: Path = IMAGE) -> Installation:
    """NVIDIA's image's where this is one, else the installed nvidia-pytriton wheel's, which is not imported.

    Args:
        image: where an image has its server.

    Raises:
        InstallationError: neither, or no worker for this Python.
    """
    if (server := image / "bin" / "tritonserver").is_file():
        backends = image / "backends"
        stub = backends / "python" / "triton_python_backend_stub"
        gpus = all((backends / name).is_dir() for name in GPU_BACKENDS)
        return Installation(server, backends, stub, None, image=True, gpus=gpus)
    spec = importlib.util.find_spec("pytriton")
    if spec is None or spec.origin is None:
        raise InstallationError(f"expected the package nvidia-pytriton, or {server}; found neither. Run `make setup`.")
    package = Path(spec.origin).parent
    triton = package / "tritonserver"
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    stub = triton / "python_backend_stubs" / version / "triton_python_backend_stub"
    if not stub.is_file():
        found = ", ".join(sorted(path.name for path in (triton / "python_backend_stubs").glob("3.*")))
        raise InstallationError(f"expected a Triton worker for Python {version}; the wheel has {found}")
    libraries = package.parent / "nvidia_pytriton.libs"
    return Installation(
        triton / "bin" / "tritonserver", triton / "backends", stub, libraries, image=False, gpus=_has_cuda()
    )


def _has_cuda() -> bool:
    """Whether onnxruntime-gpu is installed: by its library, since to import it takes as long as a start may."""
    spec = importlib.util.find_spec("onnxruntime")
    return (
        spec is not None
        and spec.origin is not None
        and (Path(spec.origin).parent / "capi" / "libonnxruntime_providers_cuda.so").is_file()
    )


def lay_out_backends(triton: Installation, folder: Path, *, on_gpu: bool = False) -> None:
    """Make the backend directory that Triton is pointed at: `python`, and who runs networks.

    Copies, not links: Triton makes its worker executable in place, which a read-only installation would refuse.

    Args:
        triton: that is to serve.
        folder: to be made; it must allow programs to run.
        on_gpu: whether networks run on a GPU. The image's own backends run them there; our `onnxruntime` does on a
            CPU, and wherever the wheel's Triton serves, which brings no other.
    """
    python = folder / "python"
    python.mkdir(parents=True)
    for name in ("libtriton_python.so", "triton_python_backend_utils.py"):
        shutil.copy(triton.backends / "python" / name, python)
    shutil.copy(triton.stub, python)
    (python / triton.stub.name).chmod(0o755)
    if on_gpu and triton.image:
        for name in GPU_BACKENDS:
            (folder / name).symlink_to(triton.backends / name)
    else:
        (folder / "onnxruntime").mkdir()
        shutil.copy(OUR_BACKEND, folder / "onnxruntime")


def environment(triton: Installation, cache: Path, profile: str) -> dict[str, str]:
    """The server's environment: this interpreter for its workers, our packages, a compile cache."""
    own = dict(os.environ)
    libpython = sysconfig.get_config_var("LIBDIR") or ""
    site = sysconfig.get_paths()["purelib"]
    # Python's folder last: on a GPU node it holds the host's libcuda, too, and the container's newer one, for older
    # drivers, must be found before it.
    own["LD_LIBRARY_PATH"] = os.pathsep.join(
        filter(None, (str(triton.libraries or ""), own.get("LD_LIBRARY_PATH"), libpython))
    )
    # Behind ours what the image brings: NVIDIA's has DALI there.
    own["PYTHONPATH"] = os.pathsep.join(filter(None, (str(PACKAGES), site, own.get("PYTHONPATH"))))
    # There are as many workers as cores: each library's own pool of threads would only multiply them. Without this,
    # 16 cores start over 2,000 threads, more than containers are allowed.
    own |= dict.fromkeys(POOLS, "1")
    # The worker embeds the `python3` that it finds first.
    own["PATH"] = os.pathsep.join((str(Path(sys.prefix, "bin")), own.get("PATH", "")))
    own["MEDSERVE_CACHE_DIR"] = str(cache)
    own[PROFILE_VARIABLE] = profile
    own[GPU_VARIABLE] = compute_capability() or ""
    own["PYTHONDONTWRITEBYTECODE"] = "1"
    return own
