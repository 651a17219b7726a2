"""Starting, refusing to start, stopping, and being killed."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest
import tritonclient.grpc as grpc
from tritonclient.utils import InferenceServerException

from benchmarks.ports import free_ports
from export.models import all_specs
from export.samples import picture
from medserve import Client, Retry, ServerFault
from tests.support.checkout import ROOT
from tests.support.clock import HANG_S, until
from tests.support.live import PORTS, Live, serving
from tests.support.repositories import copy_repository, gated, replace_file

SMALL = "solubility"


def _shm(live: Live) -> set[str]:
    """Files of this launcher in /dev/shm; those of other runs on this machine are not its own."""
    return {file.name for file in Path("/dev/shm").glob(f"medserve-{live.process.pid}-*")}


def _lives(process: psutil.Process) -> bool:
    # A container's first process may never reap what was killed.
    return process.is_running() and process.status() != psutil.STATUS_ZOMBIE


def _run_folder(live: Live) -> Path:
    return live.log.parent / "run"


@pytest.mark.parametrize(
    ("number", "protocol"), [pytest.param(signal.SIGINT, "http", marks=pytest.mark.slow), (signal.SIGTERM, "grpc")]
)
def test_a_signal_drains_and_leaves_nothing(tiny_repository: Path, tmp_path: Path, number: int, protocol: str) -> None:
    """By gRPC, Triton alone loses such calls: it refuses their second step."""
    content, calls, step = picture(9, 300), 40, "preprocess_xray"
    repository = gated(tiny_repository, tmp_path / "repository", step)
    with serving(repository.folder, tmp_path, MODELS="pneumonia", STEP_WORKERS="1") as live:
        server, workers = live.triton(), live.workers()
        url = {"http": live.http_url, "grpc": live.grpc_url}[protocol]
        with Client(url, timeout_s=HANG_S, retry=Retry(attempts=1)) as client, ThreadPoolExecutor(calls) as pool:
            client.models()
            client.predict("pneumonia", image=content)
            with repository.closed():  # none can be done before the signal
                under_way = [pool.submit(client.predict, "pneumonia", image=content) for _ in range(calls)]
                until(lambda: live.waiting(step) == calls - 1, "the calls to arrive")  # one is in the worker's hands
                live.process.send_signal(number)
                live.wait_for("serve: draining")
                assert not any(one.done() for one in under_way)
            assert all(one.result().report for one in under_way)
        assert live.process.wait(HANG_S) == 0
    assert not any(_lives(process) for process in (server, *workers.values()))
    assert not _shm(live)
    assert [path.name for path in _run_folder(live).iterdir()] == ["compiled"]


def test_a_killed_worker_and_a_killed_server_are_replaced(tiny_repository: Path, tmp_path: Path) -> None:
    """A third death within two minutes is the end: with a clock of its own, in tests/unit/server."""
    with serving(tiny_repository, tmp_path, MODELS=SMALL) as live:
        for times, victim in enumerate(("worker", "server"), 1):
            process = live.triton() if victim == "server" else live.workers()["solubility_net_0_0"]
            process.kill()
            live.wait_for("every model is READY again", times)
            assert live.generate(SMALL, smiles="CCO").status == 200
            assert process.pid not in {live.triton().pid, *(worker.pid for worker in live.workers().values())}


def test_a_restart_verifies_the_artefacts_again(tiny_repository: Path, tmp_path: Path) -> None:
    folder = copy_repository(tiny_repository, tmp_path / "repository")
    file = folder / "solubility_net" / "1" / "fp32.onnx"
    with serving(folder, tmp_path, MODELS=SMALL) as live:
        replace_file(file, _changed(file.read_bytes()))
        live.triton().kill()
        assert live.process.wait(HANG_S) == 1
        assert "not the artefact that was verified" in live.text()


@pytest.mark.slow
def test_two_servers_on_one_port_do_not_take_each_other_for_themselves(tiny_repository: Path, tmp_path: Path) -> None:
    """Started together, both find the ports free; the one that comes second must not say READY."""
    ports = dict(zip(PORTS, map(str, free_ports(4)), strict=True))
    with (
        serving(tiny_repository, tmp_path / "a", wait=False, MODELS=SMALL, **ports) as first,
        serving(tiny_repository, tmp_path / "b", wait=False, MODELS=SMALL, **ports) as second,
    ):
        both = (first, second)
        until(lambda: any(one.process.poll() is not None for one in both), "one of the two to give up")
        lost, won = both if first.process.poll() is not None else (second, first)
        assert lost.process.wait(HANG_S) == 1
        assert "READY  http" not in lost.text()
        won.wait_for("READY  http")


def test_shared_memory_is_for_this_user_alone_and_closed_to_callers(triton: Live) -> None:
    regions = list(Path("/dev/shm").glob(f"medserve-{triton.process.pid}-*"))
    assert regions
    assert all(region.stat().st_mode & 0o077 == 0 for region in regions)
    body = json.dumps({"key": f"/{regions[0].name}", "offset": 0, "byte_size": 64}).encode()
    for path in (
        "/v2/systemsharedmemory/region/spy/register",
        "/v2/repository/models/report/unload",
        "/v2/logging",
        "/v2/trace/setting",
    ):
        assert triton.request("POST", path, body).status == 403, path
    client = grpc.InferenceServerClient(f"127.0.0.1:{triton.grpc}")
    with pytest.raises(InferenceServerException, match="restricted"):
        client.register_system_shared_memory("spy", f"/{regions[0].name}", 64)


def test_no_core_is_dumped_of_what_holds_pictures(triton: Live) -> None:
    for process in (triton.triton(), *triton.workers().values()):
        limits = Path(f"/proc/{process.pid}/limits").read_text("ascii")
        (line,) = [line for line in limits.splitlines() if line.startswith("Max core file size")]
        assert line.split()[4:6] == ["0", "0"]


@pytest.mark.slow
def test_a_second_start_compiles_nothing_and_old_compilations_go(tiny_repository: Path, tmp_path: Path) -> None:
    compiled = tmp_path / "run" / "compiled"

    def blobs() -> list[Path]:
        return sorted(path for path in compiled.rglob("*") if path.is_file())

    with serving(tiny_repository, tmp_path, MODELS="pneumonia_cnn"):
        first = blobs()
    stray = compiled / ("0" * 64)
    stray.mkdir(parents=True)
    with serving(tiny_repository, tmp_path, MODELS="pneumonia_cnn"):
        assert blobs() == first
    assert not stray.exists()


@pytest.mark.slow
def test_after_a_killed_launcher_the_next_start_is_clean(tiny_repository: Path, tmp_path: Path) -> None:
    """First the launcher is killed alone, then the launcher and its server."""
    orphans: list[psutil.Process] = []
    for killed in ("launcher", "launcher and server", ""):
        with serving(tiny_repository, tmp_path, MODELS=SMALL) as live:
            assert live.generate(SMALL, smiles="CCO").status == 200
            assert not any(_lives(worker) for worker in orphans)
            server, orphans = live.triton(), list(live.workers().values())
            if killed:
                live.process.kill()
                if "server" in killed:
                    server.kill()
                live.process.wait(HANG_S)
                psutil.wait_procs([server], timeout=HANG_S)
    assert not _shm(live)
    assert [path.name for path in _run_folder(live).iterdir()] == ["compiled"]


def _changed(artefact: bytes) -> bytes:
    return artefact[:-1] + bytes([artefact[-1] ^ 1])


def test_another_models_artefact_is_an_error_not_a_guess(tiny_repository: Path, tmp_path: Path) -> None:
    """A file that is not its card's: its fingerprint is in no card, so no report is written."""
    folder = copy_repository(tiny_repository, tmp_path / "repository")
    card = folder / "solubility_net" / "1" / "card.json"
    content = json.loads(card.read_text())
    content["artefacts"]["fp32.onnx"]["fingerprint"] = [1, 2]
    replace_file(card, json.dumps(content))
    with serving(folder, tmp_path, MODELS=SMALL) as live:
        with Client(live.grpc_url) as client, pytest.raises(ServerFault) as caught:
            client.predict(SMALL, smiles="CCO")
        assert caught.value.code == "unknown_artefact"


def test_the_printed_lines_work_when_pasted(triton: Live) -> None:
    lines = [line.strip() for line in triton.text().splitlines() if line.startswith("  ")]
    curls = [line for line in lines if "curl" in line]
    clients = [line for line in lines if "medserve predict" in line]
    assert len(curls) == len(clients) == len(all_specs())
    for line in curls + clients:
        result = subprocess.run(line, shell=True, cwd=ROOT, capture_output=True, text=True)
        assert result.returncode == 0, (line, result.stderr)
        expected = '"prediction' if "curl" in line else "needs review: "
        assert expected in result.stdout.replace("\\", ""), (line, result.stdout)


def test_an_abandoned_request_does_not_block_the_next(triton: Live) -> None:
    """A slow client that never finishes its body, and one that goes away without its answer."""
    with socket.create_connection(("127.0.0.1", triton.http)) as slow:
        slow.sendall(b"POST /v2/models/pneumonia/infer HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\nhalf")
        with socket.create_connection(("127.0.0.1", triton.http)) as gone:
            gone.sendall(b"POST /v2/models/solubility/generate HTTP/1.1\r\nHost: x\r\nContent-Length: 16\r\n\r\n")
            gone.sendall(b'{"smiles":"CCO"}')
        with Client(triton.grpc_url) as client:
            assert client.predict("pneumonia", image=picture(1)).outputs["heatmap"].shape == (7, 7)
        assert triton.infer_raw("pneumonia", picture(1)).status == 200


def test_make_serve_and_ctrl_c(tmp_path: Path) -> None:
    """The README's command itself, and a terminal's Ctrl-C, which reaches make and launcher both."""
    ports = dict(zip(PORTS, map(str, free_ports(4)), strict=True))
    log = tmp_path / "make.log"
    with log.open("w") as output:
        process = subprocess.Popen(
            ["make", "serve", "MODELS=solubility", *(f"{name}={value}" for name, value in ports.items())],
            cwd=ROOT,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        live = Live(process, *(int(ports[name]) for name in PORTS), log)
        live.wait_for("\nREADY")
        assert live.generate(SMALL, smiles="CCO").status == 200
        assert "curl" in live.text()
    finally:
        os.killpg(process.pid, signal.SIGINT)
        process.wait(HANG_S)
    assert not list((ROOT / ".run").glob("medserve-*"))
