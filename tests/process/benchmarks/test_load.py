"""The load generator against a real server: alone, in a cluster of two, and where it must not pass."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from benchmarks.load.caller import Caller, WrongAnswer
from benchmarks.load.run import Run
from benchmarks.ports import free_ports
from tests.support.checkout import ROOT
from tests.support.clock import until
from tests.support.live import Live

FAST = """
runs = 1
seconds = 3
warm_s = 1
[files.solubility]
smiles = { table = "none.csv", column = "smiles" }
[files.pneumonia]
image = { folder = "none", size = [299, 299], format = "PNG" }
[[slo]]
name = "quick"
models = { solubility = 1 }
users = 8
p95_ms = 60000
[[slo]]
name = "impossible"
models = { solubility = 1 }
users = 8
p95_ms = 0.001
[[slo]]
name = "tensors"
models = { pneumonia = 1 }
send = "tensors"
users = 4
p95_ms = 60000
[[slo]]
name = "batches"
models = { solubility = 1 }
users = 2
batch = 64
items_per_second = 1
[[slo]]
name = "slow"
models = { solubility = 1 }
users = 1
batch = 2
items_per_second = 1000000
[[slo]]
name = "http"
models = { solubility = 3, pneumonia = 1 }
protocol = "http"
users = 4
p95_ms = 60000
[[slo]]
name = "arrivals"
models = { solubility = 1 }
users = 4
per_second = 30
p95_ms = 60000
[[slo]]
name = "impatient"
models = { pneumonia = 1 }
users = 4
timeout_s = 0.001
p95_ms = 60000
"""


@pytest.fixture(scope="module")
def slo_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("slo") / "slo.toml"
    file.write_text(FAST)
    return file


def _load(slo_file: Path, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "benchmarks.load", "--slo-file", str(slo_file), "--out", str(folder), *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600)


@pytest.mark.parametrize(
    "slos", ["quick,arrivals", pytest.param("quick,tensors,arrivals,batches", marks=pytest.mark.slow)]
)
def test_a_campaign_measures_and_reports(triton: Live, slo_file: Path, tmp_path: Path, slos: str) -> None:
    result = _load(slo_file, tmp_path, "--url", triton.grpc_url, "--slo", slos)
    assert result.returncode == 0, result.stdout + result.stderr
    (folder,) = tmp_path.iterdir()
    runs = {
        name: msgspec.json.decode((folder / f"{name}-1.json").read_bytes(), type=Run) for name in ("quick", "arrivals")
    }
    assert runs["quick"].answered.count > 0
    assert len(runs["quick"].timeline) == 3
    assert not runs["quick"].complaints()
    assert runs["arrivals"].answered.count > 0
    text = (folder / "report.md").read_text()
    assert ("pneumonia_net" in text) == ("tensors" in slos)
    assert "solubility_net" in text
    assert (folder / "report.html").read_text().count("data:image/png;base64,") == len(slos.split(","))


@pytest.mark.slow
def test_http_is_asked_for_as_grpc_is(triton: Live, slo_file: Path, tmp_path: Path) -> None:
    result = _load(slo_file, tmp_path, "--url", f"{triton.grpc_url},{triton.http_url}", "--slo", "http")
    assert result.returncode == 0, result.stdout + result.stderr
    assert "| http |" in result.stdout


@pytest.mark.parametrize(
    ("slo", "said"),
    [
        ("impossible", "p95: expected at most 0.001 ms"),
        pytest.param("slow", "items: expected at least 1e+06 a second", marks=pytest.mark.slow),
        pytest.param("impatient", "TimedOut", marks=pytest.mark.slow),
    ],
)
def test_what_is_missed_or_proves_nothing_ends_with_1(
    triton: Live, slo_file: Path, tmp_path: Path, slo: str, said: str
) -> None:
    result = _load(slo_file, tmp_path, "--url", triton.grpc_url, "--slo", slo)
    assert result.returncode == 1
    assert said in result.stdout + result.stderr


@pytest.mark.slow
def test_nobody_there_is_said_so(slo_file: Path, tmp_path: Path) -> None:
    (port,) = free_ports(1)
    result = _load(slo_file, tmp_path, "--url", f"grpc://127.0.0.1:{port}", "--slo", "quick")
    assert result.returncode == 1
    assert "Traceback" not in result.stderr


@contextmanager
def _cluster(triton: Live, slo_file: Path, out: Path) -> Iterator[tuple[subprocess.Popen[str], subprocess.Popen[str]]]:
    """A master, and its one worker."""
    (port,) = free_ports(1)
    common = [sys.executable, "-m", "locust", "--locustfile", "benchmarks/locustfile.py", "--host", triton.grpc_url]
    common += ["--slo", "quick", "--slo-file", str(slo_file), "--out", str(out), "--headless"]
    own: dict[str, Any] = {"cwd": ROOT, "env": os.environ | {"LOCUST_SKIP_MONKEY_PATCH": "1"}, "text": True}
    both = [
        subprocess.Popen([*common, *role, str(port)], stderr=subprocess.PIPE, **own)
        for role in (["--master", "--expect-workers", "1", "--master-bind-port"], ["--worker", "--master-port"])
    ]
    try:
        yield both[0], both[1]
    finally:
        for process in both:
            process.kill()
            process.communicate()


def _under_way(triton: Live, before: int) -> None:
    """Wait for the callers: the items are asked for first, one after the other, by the worker alone."""
    until(lambda: triton.counts("solubility")[0] >= before + 150, "the callers")


@pytest.mark.slow
def test_a_master_waits_for_its_workers_last_calls(triton: Live, slo_file: Path, tmp_path: Path) -> None:
    out, before = tmp_path / "run.json", triton.counts("solubility")[0]
    with _cluster(triton, slo_file, out) as (master, worker):
        _under_way(triton, before)
        time.sleep(2.5)
        worker.send_signal(signal.SIGSTOP)  # at the end, for longer than Locust's own master waits
        time.sleep(2.5)
        worker.send_signal(signal.SIGCONT)
        said = master.communicate(timeout=90)[1]
        assert master.returncode == 0, said
        worker.wait(90)
    run = msgspec.json.decode(out.read_bytes(), type=Run)
    assert run.answered.count > 0
    assert run.client_cpu_s > 0
    assert not run.complaints()
    judged = _load(slo_file, tmp_path / "judged", "--slo", "quick", "--judge", str(out))
    assert judged.returncode == 0, judged.stdout + judged.stderr
    assert f"{run.per_second:.1f}" in judged.stdout
    assert _load(slo_file, tmp_path / "other", "--slo", "tensors", "--judge", str(out)).returncode == 1


@pytest.mark.slow
def test_a_worker_that_is_lost_spoils_the_run(triton: Live, slo_file: Path, tmp_path: Path) -> None:
    out, before = tmp_path / "run.json", triton.counts("solubility")[0]
    with _cluster(triton, slo_file, out) as (master, worker):
        _under_way(triton, before)
        worker.kill()
        master.communicate(timeout=90)
    run = msgspec.json.decode(out.read_bytes(), type=Run)
    assert any("worker's last word is missing" in complaint for complaint in run.complaints())
    judged = _load(slo_file, tmp_path / "judged", "--slo", "quick", "--judge", str(out))
    assert judged.returncode == 1
    assert "worker's last word is missing" in judged.stdout


@pytest.mark.parametrize(
    "arguments",
    [
        ("--runs", "0"),
        pytest.param(("--data", "nowhere"), marks=pytest.mark.slow),
        pytest.param(("--models", "abacus"), marks=pytest.mark.slow),
    ],
)
def test_what_would_measure_nothing_is_refused(slo_file: Path, tmp_path: Path, arguments: tuple[str, str]) -> None:
    result = _load(slo_file, tmp_path, *arguments)
    assert result.returncode != 0
    assert arguments[1] in result.stderr
    assert "Traceback" not in result.stderr


def test_another_items_answer_is_wrong(triton: Live) -> None:
    async def swapped() -> None:
        caller = Caller(triton.grpc_url, "files", 30)
        try:
            texts = [b"CCO", b"CCCCCCCCCCCC", b"c1ccccc1", b"OCC(O)CO"]
            await caller.learn({"solubility": [{"smiles": text} for text in texts]})
            assert await caller.call("solubility", 0) > 0
            one, other = caller.known["solubility", 0], caller.known["solubility", 1]
            caller.known["solubility", 0], caller.known["solubility", 1] = other, one
            await caller.call("solubility", 0)
        finally:
            await caller.close()

    with pytest.raises(WrongAnswer, match="not this item's"):
        asyncio.run(swapped())


def test_items_that_are_all_alike_prove_nothing(triton: Live) -> None:
    async def alike() -> None:
        caller = Caller(triton.grpc_url, "files", 30)
        try:
            await caller.learn({"solubility": [{"smiles": b"CCO"}] * 8})
        finally:
            await caller.close()

    with pytest.raises(WrongAnswer, match="different answers"):
        asyncio.run(alike())
