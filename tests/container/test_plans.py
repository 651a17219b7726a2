"""The chart's init container: plans built in the server's image, over a repository that is mounted read-only.

The driver and TensorRT are stand-ins (tests/support/gpu); everything else is the image's own.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from report.card import Card
from tests.support.chart import VALUES, containers, pods, rendered
from tests.support.containers import base, built, engine, podman, tried
from tests.support.gpu import SOURCES, compiled
from tests.support.repositories import copy_repository

pytestmark = pytest.mark.slow  # images are built

MODELS = "solubility,brain_fusion"
INTO = "/plans/medserve-h100"


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> str:
    """docker/gpu.Dockerfile on a base that has TensorRT's library, as NVIDIA's has."""
    engine()
    folder = tmp_path_factory.mktemp("tensorrt")
    compiled("libnvinfer.so.11", folder)
    (folder / "Dockerfile").write_text(
        f"FROM {base()}\nCOPY libnvinfer.so.11 /usr/lib/x86_64-linux-gnu/\nRUN ldconfig\n", "utf-8"
    )
    podman("build", "--tag", "medserve-test-tensorrt", str(folder), timeout_s=300)
    return built("gpu.Dockerfile", "medserve-gpu-steps:test", "TRITON_IMAGE", on="localhost/medserve-test-tensorrt")


@pytest.fixture
def volumes(tiny_repository: Path, tmp_path: Path) -> list[str]:
    """A read-only repository, a claim for plans, the stand-ins."""
    repository = copy_repository(tiny_repository, tmp_path / "models")
    for path in (repository, *repository.rglob("*")):
        path.chmod(0o555 if path.is_dir() else 0o444)
    stand_in = tmp_path / "stand_in"
    stand_in.mkdir()
    compiled("libcuda.so.1", stand_in)
    shutil.copy(SOURCES / "tensorrt.py", stand_in)
    stand_in.chmod(0o755)
    (plans := tmp_path / "plans").mkdir()
    plans.chmod(0o777)
    (chosen := tmp_path / "chosen").mkdir()
    chosen.chmod(0o777)
    return [f"{repository}:/models:ro", f"{plans}:/plans", f"{chosen}:/chosen", f"{stand_in}:/stand-in:ro"]


def _arguments(image: str, volumes: list[str], command: list[str]) -> list[str]:
    confined = ["--read-only", "--cap-drop", "all", "--security-opt", "no-new-privileges", "--user", "1000:1000"]
    mounts = [word for volume in volumes for word in ("--volume", volume)]
    environment = ["--env", f"MODELS={MODELS}", "--env", "HOME=/tmp", "--env", "PYTHONPATH=/stand-in"]
    environment += ["--env", "LD_LIBRARY_PATH=/stand-in"]
    return [
        *("run", "--rm", "--network", "none", "--tmpfs", "/tmp", *confined, *mounts, *environment),
        *("--entrypoint", command[0], image, *command[1:]),
    ]


def _command() -> list[str]:
    """What the chart runs for class h100."""
    (pod,) = (pod for pod in pods(rendered(VALUES["gpu"])) if pod["metadata"]["labels"].get("medserve/class") == "h100")
    (init,) = pod["spec"]["initContainers"]
    (server,) = [one for one in containers(pod) if one["name"] == "server"]
    assert init["image"] == server["image"]  # what builds a plan is what loads it
    return [*init["command"], *init["args"]]


def test_init_container_builds_plans_of_a_read_only_repository(image: str, volumes: list[str], tmp_path: Path) -> None:
    command = _command()
    assert command[command.index("--into") + 1] == INTO
    first = podman(*_arguments(image, volumes, command), timeout_s=600)
    assert "solubility: sm90.plan, fp16" in first
    assert "brain_fusion: sm90.plan, fp32" in first  # its FP16 was not published
    link = (tmp_path / "chosen" / "models").readlink()  # a path in the container
    served = tmp_path / link.relative_to("/")
    for model in MODELS.split(","):
        card = Card.read(served / f"{model}_net" / "1" / "card.json")
        assert card.plans["sm90.plan"].library == "tensorrt 11.4.0.106"
        assert (served / f"{model}_net" / "1" / "sm90.plan").is_file()
    assert "unchanged" in podman(*_arguments(image, volumes, command), timeout_s=600)
    assert not list((tmp_path / "models").rglob("*.plan"))


def test_init_container_refuses_another_tensorrt_before_it_builds(
    image: str, volumes: list[str], tmp_path: Path
) -> None:
    stand_in = tmp_path / "stand_in" / "tensorrt.py"
    stand_in.write_text(stand_in.read_text().replace('__version__ = "11.4.0.106"', '__version__ = "11.3.0.99"'))
    ran = tried(*_arguments(image, volumes, _command()), timeout_s=600)
    assert ran.returncode == 1
    assert "expected one built by the server's TensorRT 11.4.0, got 11.3.0.99" in ran.stderr
    assert not [path for path in (tmp_path / "plans").rglob("*") if path.is_dir() and path.name.startswith("sm90")]


def test_image_has_the_bindings_of_its_own_tensorrt(image: str) -> None:
    code = "import importlib.metadata as m; print(m.version('tensorrt-cu13-bindings'))"
    assert podman("run", "--rm", "--entrypoint", "python3", image, "-c", code).startswith("11.4.0.")


def test_steps_load_in_the_image(image: str) -> None:
    """NVIDIA's base cannot be pulled here: the same steps on another. That it serves there is not shown."""
    modules = (
        "server.__main__, server.backends.onnxruntime.engine, preprocess.image, preprocess.molecule, report.answer"
    )
    code = f"import {modules}; print('steps')"
    printed = podman("run", "--rm", "--read-only", "--cap-drop", "all", "--entrypoint", "python3", image, "-c", code)
    assert printed.strip() == "steps"
    ran = tried("run", "--rm", image)
    assert ran.returncode == 1
    assert "expected the package nvidia-pytriton, or" in ran.stderr
