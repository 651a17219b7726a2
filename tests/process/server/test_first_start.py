"""A first start: models join a real server one by one, while the program that publishes them runs beside it."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import psutil
import pytest

from benchmarks.ports import free_ports
from export.samples import picture
from medserve import Client
from tests.support.checkout import ROOT
from tests.support.clock import until
from tests.support.live import PORTS, Live
from tests.support.repositories import copy_repository

FIRST, SECOND = "solubility", "pneumonia_cnn"
STAND_IN = Path(__file__).with_name("publisher_stand_in.py")


@dataclass
class Starting:
    """A launcher, and the pipe that orders its publisher what to publish."""

    live: Live
    orders: IO[str]

    def order(self, line: str) -> None:
        self.orders.write(f"{line}\n")
        self.orders.flush()

    def publish(self, model: str) -> None:
        self.order(f"publish {model}")
        self.live.wait_for(f"serve: ready: {model}\n")

    def publisher(self) -> psutil.Process:
        (found,) = [
            child
            for child in psutil.Process(self.live.process.pid).children()
            if any(STAND_IN.name in part for part in child.cmdline())
        ]
        return found

    def triton(self) -> psutil.Process:
        (found,) = [child for child in psutil.Process(self.live.process.pid).children() if "triton" in child.name()]
        return found

    def workers(self) -> list[int]:
        return [child.pid for child in self.triton().children()]


@contextmanager
def _starting(repository: Path, folder: Path, published: tuple[str, ...] = ()) -> Iterator[Starting]:
    """A launcher of FIRST and SECOND, of which `published` have files already."""
    target = copy_repository(repository, folder / "repository")
    for bytecode in target.rglob("__pycache__"):  # as in a fresh clone: what is written later counts as a change
        shutil.rmtree(bytecode)
    waiting = [model for model in (FIRST, SECOND) if model not in published]
    for model in waiting:
        for file in (target / f"{model}_net" / "1").iterdir():
            file.unlink()
    orders = folder / "orders"
    os.mkfifo(orders)
    ports = dict(zip(PORTS, free_ports(4), strict=True))
    environment = {name: str(port) for name, port in ports.items()} | {"MODELS": f"{FIRST},{SECOND}"}
    command = f"{sys.executable} {STAND_IN} {orders} {repository} {target} {' '.join(waiting)}"
    log = folder / "server.log"
    with log.open("w") as output:
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", "server", "--repository", str(target), "--runtime", str(folder / "run")),
                *("--publisher", command),
            ],
            cwd=ROOT,
            env=os.environ | environment | {"PYTHONPATH": str(ROOT)},
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    live = Live(process, *ports.values(), log)
    try:
        with orders.open("w") as pipe:  # returns once the publisher reads it
            yield Starting(live, pipe)
    finally:
        live.stop()


def _shm_modes(live: Live) -> set[int]:
    return {file.stat().st_mode & 0o777 for file in Path("/dev/shm").glob(f"medserve-{live.process.pid}-*")}


@pytest.fixture(scope="module")
def starting(tiny_repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Starting]:
    with _starting(tiny_repository, tmp_path_factory.mktemp("starting")) as found:
        found.live.wait_for("serve: ready: report")
        yield found


def test_models_answer_one_by_one_and_ready_waits_for_all(starting: Starting) -> None:
    live, triton, workers = starting.live, starting.triton().pid, starting.workers()
    starting.publish(FIRST)
    assert live.generate(FIRST, smiles="CCO").status == 200
    with Client(live.grpc_url) as client:
        assert client.predict(FIRST, smiles="CCO").provenance.trained
        assert set(client.models()) == {FIRST}
    ready = live.probe("/ready")
    assert ready.status == 503
    assert ready.json()["missing"] == {SECOND: "being exported"}
    assert ready.json()["models"][FIRST]
    assert not ready.json()["models"][SECOND]
    assert "READY  http" not in live.text()
    assert starting.triton().pid == triton
    assert len(set(starting.workers()) - set(workers)) == 1  # the network's: no step was started again
    assert set(workers) < set(starting.workers())

    starting.publish(SECOND)
    live.wait_for("READY  http")
    assert live.probe("/ready").status == 200
    assert "missing" not in live.probe("/ready").json()
    with Client(live.grpc_url) as client:
        assert client.predict(SECOND, image=picture(1)).provenance.artefact_sha256
        assert set(client.models()) == {FIRST, SECOND}


def test_callers_load_and_unload_nothing(starting: Starting) -> None:
    for path in (
        f"/v2/repository/models/{FIRST}/unload",
        f"/v2/repository/models/{FIRST}/load",
        "/v2/repository/index",
    ):
        assert starting.live.request("POST", path).status == 403, path
        assert starting.live.request("POST", path, headers={"medserve": "guess"}).status == 403, path


def test_the_shared_memory_of_late_models_is_for_this_user_alone(starting: Starting) -> None:
    until(lambda: _shm_modes(starting.live) == {0o600}, "closed shared memory", lambda: str(_shm_modes(starting.live)))


def test_a_worker_of_a_late_model_that_dies_is_replaced(starting: Starting) -> None:
    (worker,) = [child for child in starting.triton().children() if f"{SECOND}_net_0_0" in child.cmdline()]
    worker.kill()
    starting.live.wait_for("every model is READY again")
    assert starting.live.infer_raw(SECOND, picture(1)).status == 200
    assert starting.live.generate(FIRST, smiles="CCO").status == 200


@pytest.mark.slow
def test_a_death_in_the_meantime_keeps_what_was_published(tiny_repository: Path, tmp_path: Path) -> None:
    with _starting(tiny_repository, tmp_path, published=(FIRST,)) as starting:
        starting.live.wait_for(f"\n{FIRST}: ")
        starting.triton().kill()
        starting.live.wait_for("READY again, but those that are missing")
        assert starting.live.generate(FIRST, smiles="CCO").status == 200
        starting.publish(SECOND)
        starting.live.wait_for("READY  http")


@pytest.mark.slow
def test_a_failed_export_is_named_and_the_others_are_served(tiny_repository: Path, tmp_path: Path) -> None:
    with _starting(tiny_repository, tmp_path, published=(FIRST,)) as starting:
        live = starting.live
        starting.order(f"fail {SECOND}")
        live.wait_for(f"not every model is served. {SECOND}: export failed: the gate refused it")
        starting.order("end 1")
        assert live.generate(FIRST, smiles="CCO").status == 200
        assert live.probe("/ready").status == 503
        assert live.probe("/ready").json()["missing"] == {SECOND: "export failed: the gate refused it"}


def test_a_killed_launcher_takes_its_publisher_with_it(tiny_repository: Path, tmp_path: Path) -> None:
    with _starting(tiny_repository, tmp_path) as starting:
        publisher = starting.publisher()
        starting.live.process.kill()
        starting.live.process.wait()
        psutil.wait_procs([publisher])
        assert not publisher.is_running() or publisher.status() == psutil.STATUS_ZOMBIE


def test_a_signal_ends_the_publisher_too(tiny_repository: Path, tmp_path: Path) -> None:
    with _starting(tiny_repository, tmp_path, published=(FIRST,)) as starting:
        starting.live.wait_for(f"\n{FIRST}: ")
        publisher = starting.publisher()
        assert starting.live.stop(signal.SIGINT) == 0
        assert not publisher.is_running()
        assert _shm_modes(starting.live) == set()
        assert [path.name for path in (tmp_path / "run").iterdir()] == ["compiled"]
