"""The GPU proof as a whole, with the CPU in the GPU's place; and whether it carries what it imports."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.gpu.prepare import CUDA, NUMPY, SMALL, TRITON
from benchmarks.page.results import read
from tests.support.checkout import ROOT

# Packages of machines with PyTorch that the proof may import: what they are called there is what they are called here.
PRESENT = {
    "aiohttp", "certifi", "charset-normalizer", "click", "filelock", "fsspec", "google", "grpcio", "h11", "httpcore",
    "httpx", "idna", "iniconfig", "jinja2", "markupsafe", "ml-dtypes", "mpmath", "msgpack", "networkx", "onnx",
    "onnx-ir", "onnxscript", "packaging", "pillow", "pluggy", "prometheus-client", "protobuf", "psutil", "pygments",
    "pytest", "requests", "setuptools", "sympy", "torch", "torchvision", "tqdm", "typing-extensions", "urllib3",
    "werkzeug",
}  # fmt: skip
OURS = {"medserve", "medserve-deployment"}
IMPORTED = """
import json, sys, importlib.metadata
from gevent import monkey
import benchmarks.gpu.proof, benchmarks.locustfile, server.__main__, report.answer
from export.models import all_specs
from export.samples import first_step, picture
first_step(all_specs()["chest_xray"].step, [picture(1)])
packages = importlib.metadata.packages_distributions()
tops = {name.partition(".")[0] for name in sys.modules}
print(json.dumps(sorted({found for top in tops for found in packages.get(top, [])})))
"""


def test_everything_that_is_imported_is_carried_or_there() -> None:
    ran = subprocess.run(
        [sys.executable, "-c", IMPORTED], cwd=ROOT, capture_output=True, text=True, check=True,
        env={"PATH": "/usr/bin:/bin", "LOCUST_SKIP_MONKEY_PATCH": "1"},
    )  # fmt: skip
    imported = {name.lower().replace("_", "-").replace(".", "-") for name in json.loads(ran.stdout.splitlines()[-1])}
    carried = {name.replace(".", "-") for name in (TRITON, NUMPY, CUDA, "onnxruntime", *SMALL)}
    assert imported <= carried | PRESENT | OURS


@pytest.mark.slow
def test_proof_on_a_cpu_runs_every_section(tiny_repository: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "benchmarks.gpu.proof", "--cpu", "--repository", str(tiny_repository)]
    command += ["--models", "pneumonia", "--users", "2", "--seconds", "2", "--out", str(tmp_path)]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    found = read(tmp_path / "gpu.json")
    assert found.failed == {}
    assert set(found.seconds) == {"parity", "engine", "decode", "gate", "serve"}
    assert [one.file for one in found.parity] == ["fp32.onnx", "fp16.onnx"]
    assert [one.images for one in found.served] == ["299 x 299", "1024 x 1024"]
    assert all(one.failed == 0 and one.per_s > 0 for one in found.served)
    assert found.facts.gpu == ""
    assert "these figures say nothing of one" in ran.stdout
