"""Unit tests start no process and open no connection: a test that does is in the wrong tier, and fails here."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import numpy.testing  # noqa: F401  starts lscpu at its first import, in whichever test that is
import pytest

_FORBIDDEN = frozenset(
    {"subprocess.Popen", "os.fork", "os.forkpty", "os.posix_spawn", "os.system", "socket.bind", "socket.connect"}
)
_seen: list[str] = []
_watching = False


def _hook(event: str, _arguments: tuple[object, ...]) -> None:
    if _watching and event in _FORBIDDEN:
        _seen.append(event)
        raise PermissionError(f"{event}: a unit test starts no process and opens no connection; see tests/conftest.py")


sys.addaudithook(_hook)  # for good: Python removes none


@pytest.fixture(autouse=True)
def in_process() -> Iterator[None]:
    """Raise where the forbidden is tried, and fail the test even where the code under test handled that."""
    global _watching
    _seen.clear()
    _watching = True
    yield
    _watching = False
    assert not _seen, f"a unit test starts no process and opens no connection, got {', '.join(_seen)}"


@pytest.fixture(scope="session")
def repository() -> None:
    pytest.fail("a unit test exports no models; use `tiny_repository`, or move it to tests/process")


@pytest.fixture(scope="session")
def triton() -> None:
    pytest.fail("a unit test starts no server; move it to tests/process")


triton_real = triton_real_fp32 = shared_gateway = triton
