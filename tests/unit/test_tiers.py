"""What lies outside the tiers is not collected, and a unit test starts no process and opens no connection."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest

from tests.conftest import TESTS, TIERS, pytest_collect_file


@pytest.fixture
def refused(request: pytest.FixtureRequest, in_process: None) -> Iterator[None]:
    """What the test below tries on purpose is not held against it."""
    yield
    (guard,) = (each for each in request.config.pluginmanager.get_plugins() if hasattr(each, "_FORBIDDEN"))
    guard._seen.clear()


def _start() -> None:
    subprocess.Popen([sys.executable, "-c", ""])


def _connect() -> None:
    with socket.socket() as connection:
        connection.connect(("127.0.0.1", 9))


@pytest.mark.usefixtures("refused")
@pytest.mark.parametrize("act", [_start, _connect])
def test_unit_test_that_leaves_the_process_fails(act: Callable[[], None]) -> None:
    with pytest.raises(PermissionError, match="a unit test starts no process"):
        act()


def test_file_outside_the_tiers_is_not_collected() -> None:
    for tier in TIERS:
        assert pytest_collect_file(TESTS / tier / "test_x.py") is None
    with pytest.raises(pytest.UsageError, match="expected below one of tests/unit/"):
        pytest_collect_file(TESTS / "serving" / "test_x.py")
