"""Images built and run by podman, where it can be: no engine of Docker's, and no registry."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

import pytest

from tests.support.checkout import ROOT

BASE = "localhost/medserve-test-python"
BUILD_S = 600
_SUITE = "bookworm"
# What python's official slim image has, for Debian's own Python; pip for the image that is built on NVIDIA's.
_PACKAGES = ("ca-certificates", "libpython3.11", "python-is-python3", "python3", "python3-pip", "python3-venv")
# podman's defaults ask for more open files than a container without privileges may give.
_CONF = """\
[containers]
default_ulimits = ["nofile=20000:20000", "nproc=32768:32768"]
[engine]
runtime = "runc"
"""


@cache
def _environment() -> dict[str, str]:
    file = Path(tempfile.mkdtemp(prefix="medserve-podman-")) / "containers.conf"
    file.write_text(_CONF, "utf-8")
    return os.environ | {"CONTAINERS_CONF": str(file)}


def podman(*arguments: str, timeout_s: float = 60) -> str:
    """Its stdout; a failure shows what it said."""
    return run(["podman", *arguments], timeout_s=timeout_s)


def tried(*arguments: str, timeout_s: float = 60) -> subprocess.CompletedProcess[str]:
    """podman, which may fail."""
    return _run(["podman", *arguments], timeout_s, {})


def run(command: Sequence[str], *, timeout_s: float, variables: Mapping[str, str] | None = None) -> str:
    """Stdout of a program, one that itself calls podman; a failure shows what it said."""
    done = _run(command, timeout_s, variables or {})
    assert done.returncode == 0, f"{' '.join(command)}:\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    return done.stdout


def _run(command: Sequence[str], timeout_s: float, variables: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, env=_environment() | dict(variables), cwd=ROOT, capture_output=True, text=True, timeout=timeout_s
    )


@cache
def engine() -> None:
    """Skip the test, with the reason, where no container can run."""
    for program in ("podman", "runc", "debootstrap"):
        if shutil.which(program) is None:
            pytest.skip(f"needs {program} to build and run images")
    if os.geteuid() != 0:
        pytest.skip("needs root: debootstrap, and podman as it is set up here")
    if (done := tried("info")).returncode:
        pytest.skip(f"podman cannot work here: {done.stderr.strip().splitlines()[-1]}")


@cache
def base() -> str:
    """A slim Python, where none can be pulled: made of Debian's packages."""
    engine()
    if not podman("images", "--quiet", BASE):
        folder = Path(tempfile.mkdtemp(prefix="medserve-base-"))
        try:
            run(
                ["debootstrap", "--variant=minbase", f"--include={','.join(_PACKAGES)}", _SUITE, str(folder / "root")],
                timeout_s=BUILD_S,
            )
            for cached in ("var/cache/apt/archives", "var/lib/apt/lists"):
                shutil.rmtree(folder / "root" / cached)
            run(["tar", "-C", str(folder / "root"), "-cf", str(folder / "root.tar"), "."], timeout_s=120)
            podman("import", str(folder / "root.tar"), BASE, timeout_s=300)
        finally:
            shutil.rmtree(folder)
    return BASE


@cache
def built(dockerfile: str, tag: str, base_argument: str, on: str = "") -> str:
    """An image out of what a clean clone would hold, on the base above.

    Args:
        dockerfile: below docker/.
        tag: of the image.
        base_argument: the ARG that names what it is built on.
        on: another base than the one above.
    """
    context = Path(tempfile.mkdtemp(prefix="medserve-context-"))
    listed = run(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], timeout_s=60)
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file():
            (context / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, context / name)
    certificates = os.environ.get("PIP_CERT", "")
    trusted = ["--volume", f"{certificates}:{certificates}:ro", "--build-arg", f"PIP_CERT={certificates}"]
    try:
        podman(
            "build", "--format", "docker", "--network", "host", "--tag", tag, "--file", f"docker/{dockerfile}",
            "--build-arg", f"{base_argument}={on or base()}", *(trusted if certificates else []), str(context),
            timeout_s=BUILD_S,
        )  # fmt: skip
    finally:
        shutil.rmtree(context)
    return tag
