"""Live servers for the whole run: the repository as it is, the same on the FP32 CPU provider, and a gateway."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.gateway_process import Running, gateway
from tests.support.live import Live, serving
from tests.support.repositories import copy_repository


@pytest.fixture(scope="session")
def triton(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    """The repository as exported, with what was tuned for this machine."""
    with serving(repository, tmp_path_factory.mktemp("triton")) as live:
        yield live


@pytest.fixture(scope="session")
def fp32_repository(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same artefacts; and an ensemble once more without its report step."""
    folder = copy_repository(repository, tmp_path_factory.mktemp("fp32") / "model_repository")
    bare = folder / "chest_xray_bare"
    bare.mkdir()
    (bare / "1").mkdir()
    text = (folder / "chest_xray" / "config.pbtxt").read_text().replace('name: "chest_xray"', 'name: "chest_xray_bare"')
    text = re.sub(r'(?ms)^  step \{\n    model_name: "report".*?^  \}\n', "", text)
    text = re.sub(r'(?ms)^    output_map \{\n      key: "summary".*?^    \}\n', "", text)
    text = re.sub(r'(?ms)^output \{\n  name: "report".*?^\}\n', "", text).replace('label_filename: "labels.txt"', "")
    (bare / "config.pbtxt").write_text(text)
    return folder


@pytest.fixture(scope="session")
def triton_fp32(fp32_repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    """config.pbtxt of every model: onnxruntime's CPU provider."""
    with serving(fp32_repository, tmp_path_factory.mktemp("triton_fp32"), PROFILE="") as live:
        yield live


@pytest.fixture(scope="session")
def shared_gateway(triton: Live, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A gateway with its default settings before `triton`, but for a time-out that only ends a hang.

    What it counts and records, all tests add to.
    """
    with gateway(triton.grpc_url, tmp_path_factory.mktemp("gateway"), GATEWAY_TIMEOUT_S="120") as running:
        yield running
