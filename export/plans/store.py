"""Plans for a repository that is not to be written: in a copy of it, kept by all that makes a plan what it is."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shutil
import socket
import stat
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from export.plans.plan import plan_name
from report.card import FILENAME
from server.gpu import Gpu

ABANDONED_S = 24 * 3600  # no build takes as long: who made it was killed
CURRENT = "models"  # link to the copy that is to be served
KEPT = 2  # copies: this one, and the one that servers which still run were started with


def key(repository: Path, gpu: Gpu, library: str, asked: str) -> str:
    """The name of a copy: "sm90-tensorrt-10.14.1-0123456789abcdef"; another GPU, TensorRT, artefact, config or order:
    another.

    Plans of one compute capability load on each of its GPUs, but were timed on one: an H100 and a slice of it differ.

    Args:
        repository: with the artefacts.
        gpu: that builds and serves.
        library: that builds, with its version: "tensorrt 10.14.1".
        asked: which models in which precisions: a copy has plans of these alone.
    """
    digest = hashlib.sha256(f"{asked}\n{gpu}\n".encode())
    for file in sorted((*repository.glob(f"*/[0-9]*/{FILENAME}"), *repository.glob("*/**/*.pbtxt"))):
        content = file.read_bytes()
        digest.update(f"{file.relative_to(repository)} {len(content)}\n".encode() + content)
    kind = plan_name(gpu.capability).removesuffix(".plan")
    return f"{kind}-{library.replace(' ', '-')}-{digest.hexdigest()[:16]}"


def timings(into: Path, gpu: Gpu, library: str) -> Path:
    """The file of kernel timings for this GPU and this library: next to the copies, reused by the next artifact."""
    product = re.sub(r"[^A-Za-z0-9]+", "-", gpu.product).strip("-")
    return into / f"timings-{product}-{gpu.multiprocessors}-{library.replace(' ', '-')}.cache"


@contextlib.contextmanager
def own_copy(
    repository: Path, into: Path, name: str, link: Path | None = None, clock: Callable[[], float] = time.time
) -> Iterator[Path | None]:
    """A copy to build in, which is linked when the block is over; None: it was built before.

    Several may build the same at once: whoever is last finds it there. A block that fails leaves no copy, and what was
    served stays.

    Args:
        repository: to be copied.
        into: folder of all copies.
        name: see `key`.
        link: to it, for one server alone; None: `into`/models, which is the newest copy's.
        clock: seconds since the epoch, as file times are.
    """
    done = into / name
    if done.is_dir():
        yield None
    else:
        partial = into / f".{name}.{socket.gethostname()}.{os.getpid()}"
        try:
            shutil.copytree(repository, partial, copy_function=_writable_copy)
            for folder in (partial, *filter(Path.is_dir, partial.rglob("*"))):
                folder.chmod(folder.stat().st_mode | stat.S_IRWXU)
            yield partial
            with contextlib.suppress(OSError):  # somebody else was first
                partial.rename(done)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
    done.touch()
    _point(into / CURRENT, name)
    if link is not None:
        _point(link, str(done.resolve()))
    _forget(into, done, clock())


def _writable_copy(source: str, target: str) -> None:
    """Without the source's mode: a repository may be read-only to all."""
    shutil.copyfile(source, target)


def _point(link: Path, name: str) -> None:
    """In one step: a server that starts meanwhile finds either."""
    own = link.with_name(f".{link.name}.{socket.gethostname()}.{os.getpid()}")
    own.unlink(missing_ok=True)
    own.symlink_to(name)
    own.replace(link)


def _forget(into: Path, current: Path, now: float) -> None:
    copies = [path for path in into.iterdir() if path.is_dir() and not path.is_symlink() and path != current]
    finished = sorted((path for path in copies if not path.name.startswith(".")), key=lambda path: path.stat().st_mtime)
    abandoned = (path for path in copies if path.name.startswith(".") and now - _made(path, now) > ABANDONED_S)
    for old in (*finished[: -(KEPT - 1)], *abandoned):
        shutil.rmtree(old, ignore_errors=True)


def _made(folder: Path, now: float) -> float:
    try:
        return folder.stat().st_mtime
    except OSError:  # it was finished, or removed, meanwhile
        return now
