"""Tiers by folder, and what all of them share: real files where they are at hand, and exported repositories.

unit/       no process, no socket: in-process ASGI at most. Held to that by `unit/conftest.py`.
process/    programs in their own processes: a real Triton, a real gateway, PostgreSQL, Envoy, Prometheus, helm.
container/  images, built and run.
browser/    pages in Chromium.
load/       what measures time, or takes minutes by its nature.
support/    what tests share; holds none.
"""

from __future__ import annotations

import os
import shlex
from hashlib import sha256
from pathlib import Path

import pytest

from tests.support.samples import SAMPLES, SampleData

if "PYTEST_XDIST_WORKER" in os.environ:  # the workers share the cores: threads of each would wait for the others'
    os.environ |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE"}

pytest_plugins = ["tests.support.repositories", "tests.support.servers", "tests.support.traces"]

TESTS = Path(__file__).resolve().parent
SHARED = frozenset({"triton", "triton_real", "triton_real_fp32", "shared_gateway"})
SHARED_GROUP = "triton"
LONGEST_ID = 80  # characters of one parameter in a test's name
TIERS = ("unit", "process", "container", "browser", "load")


def pytest_collect_file(file_path: Path) -> None:
    """Refuse a test file outside the tiers: nothing would say how long it may take and what it may start."""
    if file_path.is_relative_to(TESTS) and file_path.match("test_*.py"):
        tier = file_path.relative_to(TESTS).parts[0]
        if tier not in TIERS:
            expected = ", ".join(f"tests/{name}/" for name in TIERS)
            raise pytest.UsageError(f"{file_path}: expected below one of {expected}. Move it to its tier.")


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Name long content by its digest: pytest would escape 64 MiB of it into a test's name, in every process."""
    if not isinstance(val, bytes | str) or len(val) <= LONGEST_ID:
        return None
    content = val.encode("utf-8", "surrogatepass") if isinstance(val, str) else val
    return f"{argname}-{sha256(content).hexdigest()[:12]}"


@pytest.hookimpl(tryfirst=True)  # before xdist reads the marks
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep what shares a server, or else a file, on one worker.

    Tests count what a shared server did: two that run against it at the same time would count each other's calls.
    """
    for item in items:
        shared = sorted(SHARED.intersection(getattr(item, "fixturenames", ())))
        item.add_marker(pytest.mark.xdist_group(SHARED_GROUP if shared else item.location[0]))


def pytest_collection_finish(session: pytest.Session) -> None:
    """Refuse to run where xdist spreads the tests of one group over its workers.

    xdist 3.8 passes a group on in the test's id, which pytest 9.2 no longer lets it change: no error, no groups.
    """
    grouped = getattr(session.config.option, "loadgroup", False)
    if grouped and session.items and "@" not in session.items[0].nodeid:
        raise pytest.UsageError(
            f"pytest {pytest.__version__}: expected test ids that end with their xdist_group, got "
            f"{session.items[0].nodeid}. Install what constraints.txt pins: `make setup`."
        )


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the command that repeats each failure."""
    failed = [*terminalreporter.getreports("failed"), *terminalreporter.getreports("error")]
    names = dict.fromkeys(report.nodeid.partition("@")[0] for report in failed)
    if names:
        terminalreporter.section("to repeat")
    for name in names:
        terminalreporter.write_line(f'make test ARGS="{shlex.quote(name)}"')


@pytest.fixture(scope="session")
def sample_data() -> SampleData:
    if not (SAMPLES / "data" / "manifest.csv").is_file():
        pytest.skip(f"needs the real sample files; none at {SAMPLES} (MEDSERVE_SAMPLES names another place)")
    return SampleData(SAMPLES)


@pytest.fixture(scope="session")
def checkpoints() -> Path | None:
    """The folder of sample checkpoints, or None."""
    folder = SAMPLES / "checkpoints"
    return folder if folder.is_dir() else None
