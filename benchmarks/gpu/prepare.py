"""python -m benchmarks.gpu.prepare: fill .gpu1 to .gpu5 with what the GPU proof needs on a machine without a network.

.gpu1  the wheel's Triton, numpy < 2 for its workers, a libpython for them
.gpu2  the first half of onnxruntime-gpu, without the device code of other GPUs
.gpu3  the second half
.gpu5  images, the load generator and small packages

carried.toml says which networks travel in which.

Each stays below what fits through one transfer. The repository must have been exported with PICTURES, so that the gate
published FP16. On the machine, `. .gpuN/setup.sh` after each transfer puts things in their place.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from benchmarks.gpu.carried import Carried
from benchmarks.gpu.prune import prune
from benchmarks.options import add_data
from benchmarks.setting import ROOT
from export.artefact import folder_of
from export.models import all_specs
from export.samples import pictures_below
from report.card import FILENAME

FOLDERS = ("gpu1", "gpu2", "gpu3", "gpu4", "gpu5")
MOST_MB = 58  # of a folder
PYTHON = "3.12"
ARCHITECTURE = 90  # compute capability of H100 and H200, times ten
TRITON, NUMPY, CUDA = "nvidia-pytriton", "numpy", "onnxruntime-gpu"
# What the server, the gate and the load generator import and machines with PyTorch do not bring; checked by a test.
SMALL = (
    "bidict", "blinker", "brotli", "configargparse", "flask", "flask-cors", "flask-login", "gevent", "geventhttpclient",
    "greenlet", "hdrhistogram", "itsdangerous", "locust", "msgspec", "pbr", "pydicom", "pylibjpeg", "pylibjpeg-libjpeg",
    "pylibjpeg-openjpeg", "python-engineio", "python-rapidjson", "python-socketio", "pyzmq", "simple-websocket",
    "tritonclient", "websocket-client", "wsproto", "zope.event", "zope.interface",
)  # fmt: skip
IMAGES = 48  # of each folder of the sample data
_CONSTRAINTS = ROOT / "constraints.txt"
_PLATFORMS = ("manylinux2014", "manylinux1", *(f"manylinux_2_{minor}" for minor in (5, 17, 24, 27, 28, 31, 34, 35)))


class PrepareError(RuntimeError):
    """Something that has to be carried is not here, or does not fit."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Return the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.gpu.prepare",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--repository", type=Path, default=Path("model_repository"))
    parser.add_argument("--into", type=Path, default=ROOT, help="folder to make .gpu1 to .gpu5 in")
    parser.add_argument(
        "--libpython", type=Path, default=None, help=f"libpython{PYTHON}.so.1.0; none: python{PYTHON}'s"
    )
    add_data(parser)
    options = parser.parse_args(arguments)
    try:
        with tempfile.TemporaryDirectory() as folder:
            prepare(options.repository, options.data, options.libpython or _libpython(), options.into, Path(folder))
    except (PrepareError, OSError, subprocess.CalledProcessError) as exc:
        print(f"prepare: {exc}", file=sys.stderr)
        return 1
    return 0


def prepare(repository: Path, data: Path | None, libpython: Path, into: Path, work: Path) -> None:
    """Fill the five folders.

    Args:
        repository: with the exported models.
        data: folder of sample data; None: the proof makes synthetic images.
        libpython: the shared library of Python PYTHON.
        into: where the folders are made.
        work: scratch space of 2 GB.

    Raises:
        PrepareError: a file is missing, or a folder is too large.
        subprocess.CalledProcessError: a package cannot be had.
    """
    carried = Carried.read()
    parts: dict[str, Callable[[Path], None]] = {
        "gpu1": lambda folder: _triton(libpython, work / "triton", folder),
        "gpu2": lambda folder: _cuda_half(work, folder, 0),
        "gpu3": lambda folder: _cuda_half(work, folder, 1),
        "gpu5": lambda folder: _rest(carried, data, work / "small", folder),
    }
    _cuda(work)
    for name in FOLDERS:
        folder = into / f".{name}"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        if name in parts:
            parts[name](folder)
        _models(repository, carried.models.get(name, {}), folder)
        shutil.copy(Path(__file__).with_name("setup.sh"), folder)
        size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()) / 1e6
        print(f"{folder.name}: {size:.1f} MB")
        if size > MOST_MB:
            raise PrepareError(f"{folder}: expected at most {MOST_MB} MB, got {size:.1f}. Carry less in it.")


def _install(names: Sequence[str], folder: Path) -> None:
    """Install the pinned versions for PYTHON on x86-64, without what they require."""
    pins = {line.partition("==")[0]: line.split(";")[0].strip() for line in _CONSTRAINTS.read_text().splitlines()}
    if missing := [name for name in names if name not in pins]:
        raise PrepareError(f"{_CONSTRAINTS}: expected a version of {', '.join(missing)}, found none")
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-compile", "--only-binary=:all:"]
    command += ["--python-version", PYTHON, "--implementation", "cp", "--target", str(folder)]
    command += [f"--platform={platform}_x86_64" for platform in _PLATFORMS]
    subprocess.run([*command, *(pins[name] for name in names)], check=True)


def _libpython() -> Path:
    """Raises PrepareError: this Python is not here, or has no shared library."""
    code = "import sysconfig; print(sysconfig.get_config_var('LIBDIR'))"
    try:
        found = subprocess.run([f"python{PYTHON}", "-c", code], capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError) as exc:
        raise PrepareError(
            f"expected python{PYTHON} for its libpython, found none ({exc}). Name one: --libpython"
        ) from exc
    library = Path(found.strip(), f"libpython{PYTHON}.so.1.0")
    if not library.is_file():
        raise PrepareError(f"expected {library}, found none. Name one: --libpython")
    return library


def _packed(folder: Path, target: Path) -> None:
    with tarfile.open(target, "w:xz", preset=6) as archive:
        archive.add(folder, arcname=".")


def _triton(libpython: Path, work: Path, folder: Path) -> None:
    _install((TRITON, NUMPY), work)
    stubs = work / "pytriton" / "tritonserver" / "python_backend_stubs"
    for other in [stub for stub in stubs.iterdir() if stub.name != PYTHON]:
        shutil.rmtree(other)
    for other in [*(work / "nvidia_pytriton.libs").glob("libpython3*"), *(work / "numpy").rglob("tests")]:
        shutil.rmtree(other) if other.is_dir() else other.unlink()
    subprocess.run(["strip", "-o", str(work / libpython.name), str(libpython)], check=True)
    _packed(work, folder / "triton.tar.xz")


def _cuda(work: Path) -> None:
    """Leave `ort.tar.xz` in `work`: onnxruntime-gpu with CUDA for ARCHITECTURE alone."""
    unpacked = work / "ort"
    _install((CUDA,), unpacked)
    for unused in ("transformers", "tools", "quantization", "datasets"):
        shutil.rmtree(unpacked / "onnxruntime" / unused, ignore_errors=True)
    capi = unpacked / "onnxruntime" / "capi"
    for library in [*capi.glob("libonnxruntime.so.*"), *capi.glob("*tensorrt*")]:
        library.unlink()
    library = capi / "libonnxruntime_providers_cuda.so"
    kept = prune(library, library, ARCHITECTURE)
    print(f"{library.name}: kept {kept / 1e6:.1f} MB of device code for sm_{ARCHITECTURE}")
    _packed(unpacked, work / "ort.tar.xz")


def _cuda_half(work: Path, folder: Path, half: int) -> None:
    content = (work / "ort.tar.xz").read_bytes()
    middle = len(content) // 2
    (folder / f"ort.{half}").write_bytes(content[middle:] if half else content[:middle])


def _models(repository: Path, models: Mapping[str, Sequence[str]], folder: Path) -> None:
    specs = all_specs()
    for name, precisions in models.items():
        source = folder_of(specs[name], repository)
        target = folder / "models" / source.relative_to(repository)
        wanted = [source / f"{precision}.onnx" for precision in precisions]
        found = [file for file in wanted if file.is_file()]
        if not found or not (source / FILENAME).is_file():
            raise PrepareError(
                f"expected {FILENAME} and some of {', '.join(file.name for file in wanted)} in {source}, found none. "
                f"Export them: make export MODELS={name} CHECKPOINTS=… PICTURES=…"
            )
        for file in [each for each in wanted if each not in found]:
            print(f"{name}: without {file.name}, which was not published")
        target.mkdir(parents=True)
        for file in [source / FILENAME, *found]:
            shutil.copy(file, target)


def _rest(carried: Carried, data: Path | None, work: Path, folder: Path) -> None:
    _install(SMALL, work)
    _packed(work, folder / "site.tar.xz")
    if data is None:
        return
    for group in {files.folder for files in carried.images.values()}:
        paths = pictures_below(data / group)
        for path in paths[:: max(1, len(paths) // IMAGES)][:IMAGES]:
            target = folder / "data" / path.relative_to(data)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, target)


if __name__ == "__main__":
    sys.exit(main())
