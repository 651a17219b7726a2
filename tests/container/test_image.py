"""The CPU image and the gateway's, built as from a clean clone, run by compose's rules: nothing writable, no rights."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from benchmarks.ports import free_ports
from medserve import Client, Retry
from tests.support.checkout import ROOT
from tests.support.clock import HANG_S, until
from tests.support.containers import built, engine, podman, run, tried
from tests.support.live import PORTS

pytestmark = pytest.mark.slow  # three images are built

MODEL = "chest_xray"
IMAGE, LARGEST_BYTES = "medserve-cpu:0.1.0", 1_200_000_000
GATEWAY_IMAGE = "medserve-gateway:0.1.0"
GRACE_S = 45  # compose.yaml's
PICTURE = ROOT / "examples" / "phantom.png"


@dataclass(frozen=True)
class Up:
    """The service, up."""

    container: str
    gateway: str
    ports: dict[str, int]

    @property
    def url(self) -> str:
        return f"grpc://127.0.0.1:{self.ports['GRPC_PORT']}"

    def log(self) -> str:
        """Both streams."""
        said = tried("logs", self.container)
        return said.stdout + said.stderr

    def inspected(self) -> dict:
        return json.loads(podman("inspect", self.container))[0]

    def inside(self, command: str) -> str:
        """What a shell in it prints."""
        return _inside(self.container, command)


@pytest.fixture(scope="module")
def image() -> str:
    engine()
    built("gateway.Dockerfile", GATEWAY_IMAGE, "PYTHON_IMAGE")
    return built("cpu.Dockerfile", IMAGE, "PYTHON_IMAGE")


@pytest.fixture(scope="module")
def readable(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The exported repository where a user without rights can read it."""
    folder = Path(f"/var/tmp/medserve-models-{os.getpid()}")  # pytest's own folders are root's alone
    shutil.copytree(repository, folder, ignore=shutil.ignore_patterns(".lock"))
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def up(image: str, readable: Path) -> Iterator[Up]:
    ports = dict(zip((*PORTS, "GATEWAY_PORT"), free_ports(5), strict=True))
    variables = {name: str(port) for name, port in ports.items()}
    variables |= {"MODELS": MODEL, "MEMORY": "2g", "MODEL_REPOSITORY": str(readable)}
    compose = [sys.executable, "-m", "podman_compose", "--env-file", "docker/versions.env", "-f", "docker/compose.yaml"]
    compose += ["-p", f"medserve{os.getpid()}", "--profile", "cpu"]
    run([*compose, "up", "--detach", "--no-build"], timeout_s=120, variables=variables)
    try:
        names = podman("ps", "--filter", f"name=medserve{os.getpid()}", "--format", "{{.Names}}").split()
        (container,) = (name for name in names if "cpu" in name)
        (door,) = (name for name in names if "gateway" in name)
        found = Up(container, door, ports)
        _wait_until_healthy(found)
        yield found
    finally:
        run([*compose, "down", "--volumes"], timeout_s=120, variables=variables)


def _inside(container: str, command: str) -> str:
    return tried("exec", container, "sh", "-c", command).stdout.strip()


def _wait_until_healthy(service: Up) -> None:
    """As an orchestrator finds out: by the image's own health check."""

    def healthy() -> bool:
        state = service.inspected()["State"]
        assert state["Running"], f"it ended with {state['ExitCode']}:\n{service.log()}"
        return not tried("healthcheck", "run", service.container).returncode

    until(healthy, "the container to be healthy", service.log)


def test_it_is_small(image: str) -> None:
    size = int(podman("image", "inspect", "--format", "{{.Size}}", image))
    print(f"{size / 1e6:.0f} MB")
    assert size <= LARGEST_BYTES


def test_it_holds_no_tool_that_installs_and_nothing_that_trains(image: str) -> None:
    look = "import importlib.util as u, sys; print([n for n in sys.argv[1:] if u.find_spec(n)])"
    found = podman(
        "run", "--rm", "--entrypoint", "python", image, "-c", look, "pip", "torch", "export", "tests", "onnx"
    )
    assert found.strip() == "[]"


def test_it_runs_without_any_right(up: Up) -> None:
    host = up.inspected()["HostConfig"]
    assert host["ReadonlyRootfs"]
    assert host["Memory"] == 2 << 30
    assert host["PidsLimit"] == 16384
    status = dict(line.split(":\t", 1) for line in up.inside("cat /proc/1/status").splitlines() if ":\t" in line)
    assert status["Uid"].split() == ["1000"] * 4
    assert int(status["CapEff"], 16) == int(status["CapBnd"], 16) == 0
    assert status["NoNewPrivs"].strip() == "1"
    for place in ("/opt", "/models", "/usr/local", "/home"):
        assert "Read-only" in up.inside(f"touch {place}/x 2>&1"), place


def test_only_this_machine_can_call_it(up: Up) -> None:
    bindings = up.inspected()["HostConfig"]["PortBindings"]
    assert {one["HostIp"] for each in bindings.values() for one in each} == {"127.0.0.1"}


def test_it_says_which_profile_and_why(up: Up) -> None:
    (line,) = [line for line in up.log().splitlines() if line.startswith("serve: profile")]
    assert line == "serve: profile cpu: there is no GPU"


def test_it_answers_a_real_film(up: Up, sample_data) -> None:
    film = sample_data.files("cxr")[0].path
    with Client(up.url, timeout_s=HANG_S) as client:
        answer = client.predict(MODEL, image=film)
    assert answer.report is not None
    assert answer.heatmaps["image"].shape == (7, 7)


def test_the_gateway_answers_a_real_film_without_any_right(up: Up, sample_data) -> None:
    host = json.loads(podman("inspect", up.gateway))[0]["HostConfig"]
    assert host["ReadonlyRootfs"]
    assert host["Memory"] == 1 << 30
    status = dict(
        line.split(":\t", 1) for line in _inside(up.gateway, "cat /proc/1/status").splitlines() if ":\t" in line
    )
    assert status["Uid"].split() == ["1000"] * 4
    assert int(status["CapEff"], 16) == int(status["CapBnd"], 16) == 0
    assert "Read-only" in _inside(up.gateway, "touch /opt/x 2>&1")
    assert tried("healthcheck", "run", up.gateway).returncode == 0
    film = sample_data.files("cxr")[0].path
    url = f"http://127.0.0.1:{up.ports['GATEWAY_PORT']}"
    answer = httpx.post(f"{url}/predict/{MODEL}", files={"file": film.read_bytes()}, timeout=HANG_S)
    assert answer.status_code == 200, answer.text
    assert httpx.get(f"{url}/health", timeout=HANG_S).json()["ready"]
    assert "1:" in _inside(up.gateway, "medserve audit verify")
    drawn = "from gateway.predicting.drawing import structure; print(structure(b'CCO')[-7:])"
    assert _inside(up.gateway, f'python -c "{drawn}"') == "b'</svg>\\n'"


def test_everyone_who_is_there_is_answered_before_it_stops(up: Up) -> None:
    """Last: it ends the container. SIGTERM, by `podman stop`; so few that a slow machine drains them in time."""

    calls = 32  # more than one batch, so that some are under way when the first is answered
    with Client(up.url, timeout_s=HANG_S, retry=Retry(attempts=1)) as client, ThreadPoolExecutor(calls + 1) as pool:
        client.models()
        under_way = [pool.submit(client.predict, MODEL, image=PICTURE) for _ in range(calls)]
        wait(under_way, return_when=FIRST_COMPLETED)
        stopping = pool.submit(podman, "stop", "--time", str(GRACE_S), up.container, timeout_s=GRACE_S + 30)
        assert not all(one.done() for one in under_way)
        assert all(one.result().report for one in under_way)
        stopping.result()
    state = up.inspected()["State"]
    assert state["ExitCode"] == 0
    assert not state["OOMKilled"]
