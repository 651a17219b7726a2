"""Starting, refusing to start, stopping, and being killed."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import time
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
from tests.support.live import PORTS, Live, serving
from tests.support.repositories import copy_repository, replace_file

SMALL = "solubility"


def _shm() -> set[str]:
    return {file.name for file in Path("/dev/shm").glob("medserve-*")}


def _lives(process: psutil.Process) -> bool:
    # A container's first process may never reap what was killed.
    return process.is_running() and process.status() != psutil.STATUS_ZOMBIE


def _run_folder(live: Live) -> Path:
    return live.log.parent / "run"


def _refusal(repository: Path, folder: Path, **variables: str) -> str:
    """What the launcher prints when it does not start."""
    with serving(repository, folder, wait=False, **variables) as live:
        assert live.process.wait(60) == 1
        return live.text()


@pytest.mark.parametrize(("number", "protocol"), [(signal.SIGINT, "http"), (signal.SIGTERM, "grpc")])
def test_a_signal_drains_and_leaves_nothing(repository: Path, tmp_path: Path, number: int, protocol: str) -> None:
    """By gRPC, Triton alone loses two thirds of these calls: it refuses their second step."""
    before = _shm()
    content, calls = picture(9, 1500), 96
    with serving(repository, tmp_path, MODELS="pneumonia") as live:
        server, workers = live.triton(), live.workers()
        url = {"http": live.http_url, "grpc": live.grpc_url}[protocol]
        with Client(url, timeout_s=60, retry=Retry(attempts=1)) as client, ThreadPoolExecutor(calls) as pool:
            client.models()
            asked = [pool.submit(client.predict, "pneumonia", image=content) for _ in range(calls)]
            while not any(one.done() for one in asked):  # most wait, before their first step or behind it
                time.sleep(0.01)
            live.process.send_signal(number)
            assert sum(one.done() for one in asked) < calls / 2
            assert all(one.result().report for one in asked)
        assert live.process.wait(60) == 0
    assert not any(_lives(process) for process in (server, *workers.values()))
    assert _shm() <= before
    assert [path.name for path in _run_folder(live).iterdir()] == ["compiled"]


@pytest.mark.parametrize("victim", ["worker", "server"])
def test_a_killed_worker_or_server_is_replaced(repository: Path, tmp_path: Path, victim: str) -> None:
    with serving(repository, tmp_path, MODELS=SMALL) as live:
        process = live.triton() if victim == "server" else live.workers()["solubility_net_0_0"]
        process.kill()
        live.wait_for("every model is READY again")
        assert live.generate(SMALL, smiles="CCO").status == 200
        assert process.pid not in {live.triton().pid, *(worker.pid for worker in live.workers().values())}


def test_a_restart_verifies_the_artefacts_again(repository: Path, tmp_path: Path) -> None:
    folder = copy_repository(repository, tmp_path / "repository")
    file = folder / "solubility_net" / "1" / "fp32.onnx"
    with serving(folder, tmp_path, MODELS=SMALL) as live:
        replace_file(file, _changed(file.read_bytes()))
        live.triton().kill()
        assert live.process.wait(60) == 1
        assert "not the artefact that was verified" in live.text()


def test_two_servers_on_one_port_do_not_take_each_other_for_themselves(repository: Path, tmp_path: Path) -> None:
    """Started together, both find the ports free; the one that comes second must not say READY."""
    ports = dict(zip(PORTS, map(str, free_ports(4)), strict=True))
    with (
        serving(repository, tmp_path / "a", wait=False, MODELS=SMALL, **ports) as first,
        serving(repository, tmp_path / "b", wait=False, MODELS=SMALL, **ports) as second,
    ):
        deadline = time.monotonic() + 60
        while first.process.poll() is None and second.process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.1)
        lost, won = (first, second) if first.process.poll() is not None else (second, first)
        assert lost.process.wait(60) == 1
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


def test_a_second_start_compiles_nothing_and_old_compilations_go(repository: Path, tmp_path: Path) -> None:
    compiled = tmp_path / "run" / "compiled"

    def blobs() -> list[Path]:
        return sorted(path for path in compiled.rglob("*") if path.is_file())

    with serving(repository, tmp_path, MODELS="pneumonia_cnn"):
        first = blobs()
    stray = compiled / ("0" * 64)
    stray.mkdir(parents=True)
    with serving(repository, tmp_path, MODELS="pneumonia_cnn"):
        assert blobs() == first
    assert not stray.exists()


def test_a_server_that_keeps_dying_is_given_up(repository: Path, tmp_path: Path) -> None:
    with serving(repository, tmp_path, MODELS=SMALL) as live:
        for death in range(3):
            live.triton().kill()
            if death < 2:
                live.wait_for("every model is READY again", times=death + 1)
        assert live.process.wait(60) == 1
        assert "died 3 times" in live.text()


@pytest.mark.parametrize("everything", [False, True])
def test_after_a_killed_launcher_the_next_start_is_clean(repository: Path, tmp_path: Path, everything: bool) -> None:
    before = _shm()
    with serving(repository, tmp_path, MODELS=SMALL) as live:
        server, workers = live.triton(), live.workers()
        for process in (live.process, *([server] if everything else [])):
            process.kill()
        live.process.wait(10)
        psutil.wait_procs([server], timeout=10)
    with serving(repository, tmp_path, MODELS=SMALL) as live:
        assert live.generate(SMALL, smiles="CCO").status == 200
        assert not any(_lives(worker) for worker in workers.values())
    assert _shm() <= before
    assert [path.name for path in _run_folder(live).iterdir()] == ["compiled"]


def test_a_port_in_use_is_named(repository: Path, tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        said = _refusal(repository, tmp_path, MODELS=SMALL, GRPC_PORT=str(port))
    assert f"127.0.0.1:{port}" in said
    assert "GRPC_PORT=" in said


def test_an_address_that_others_reach_is_refused(repository: Path, tmp_path: Path) -> None:
    said = _refusal(repository, tmp_path, MODELS=SMALL, HOST="0.0.0.0")
    assert "security" in said
    assert "ALLOW_REMOTE=1" in said


def test_an_unknown_model_is_refused_with_the_valid_names(repository: Path, tmp_path: Path) -> None:
    said = _refusal(repository, tmp_path, MODELS="chest_xrey")
    assert "chest_xrey" in said
    assert "chest_xray" in said


def _changed(artefact: bytes) -> bytes:
    return artefact[:-1] + bytes([artefact[-1] ^ 1])


@pytest.mark.parametrize(
    ("harm", "words"),
    [
        (_changed, "not the artefact that was verified"),
        (lambda artefact: artefact[:-10], "half-written"),
        (lambda artefact: b"", "half-written"),
    ],
)
def test_an_artefact_that_is_not_its_cards_is_not_served(repository: Path, tmp_path: Path, harm, words: str) -> None:
    folder = copy_repository(repository, tmp_path / "repository")
    file = folder / "solubility_net" / "1" / "fp32.onnx"
    replace_file(file, harm(file.read_bytes()))
    said = _refusal(folder, tmp_path, MODELS=SMALL)
    assert words in said
    assert "make export MODELS=solubility" in said


@pytest.mark.parametrize("missing", ["fp32.onnx", "card.json"])
def test_a_missing_artefact_or_card_is_named(repository: Path, tmp_path: Path, missing: str) -> None:
    folder = copy_repository(repository, tmp_path / "repository")
    (folder / "solubility_net" / "1" / missing).unlink()
    assert "make export MODELS=solubility" in _refusal(folder, tmp_path, MODELS=SMALL)


def test_another_models_artefact_is_an_error_not_a_guess(repository: Path, tmp_path: Path) -> None:
    """A file that is not its card's: its fingerprint is in no card, so no report is written."""
    folder = copy_repository(repository, tmp_path / "repository")
    card = folder / "solubility_net" / "1" / "card.json"
    content = json.loads(card.read_text())
    content["artefacts"]["fp32.onnx"]["fingerprint"] = [1, 2]
    replace_file(card, json.dumps(content))
    with serving(folder, tmp_path, MODELS=SMALL) as live:
        with Client(live.grpc_url) as client, pytest.raises(ServerFault) as caught:
            client.predict(SMALL, smiles="CCO")
        assert caught.value.code == "unknown_artefact"


def test_only_the_models_asked_for_are_loaded(repository: Path, tmp_path: Path) -> None:
    with serving(repository, tmp_path, MODELS="solubility,pneumonia") as live:
        assert {name.rsplit("_", 2)[0] for name in live.workers()} == {
            "solubility_net",
            "pneumonia_net",
            "featurize_molecule",
            "preprocess_xray",
            "describe",
            "report",
        }
        assert live.request("GET", "/v2/models/chest_xray/ready").status == 400


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
    before = _shm()
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
        process.wait(60)
    assert _shm() <= before
    assert not list((ROOT / ".run").glob("medserve-*"))
