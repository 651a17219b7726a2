"""The live servers that tests share, one of each for a run: tiny networks, real ones to judge accuracy, a gateway."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.gateway_process import Running, gateway
from tests.support.live import Live, serving
from tests.support.repositories import TRAINED, copy_repository

WITHOUT_REPORT = "chest_xray_bare"


@pytest.fixture(scope="session")
def triton(tiny_repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    """All nine models as tiny networks in FP32, and one ensemble once more without its report step."""
    folder = copy_repository(tiny_repository, tmp_path_factory.mktemp("triton") / "model_repository")
    bare = folder / WITHOUT_REPORT
    (bare / "1").mkdir(parents=True)
    text = (folder / "chest_xray" / "config.pbtxt").read_text().replace('"chest_xray"', f'"{WITHOUT_REPORT}"')
    text = re.sub(r'(?ms)^  step \{\n    model_name: "report".*?^  \}\n', "", text)
    text = re.sub(r'(?ms)^    output_map \{\n      key: "summary".*?^    \}\n', "", text)
    text = re.sub(r'(?ms)^output \{\n  name: "report".*?^\}\n', "", text).replace('label_filename: "labels.txt"', "")
    (bare / "config.pbtxt").write_text(text)
    with serving(folder, folder.parent, PROFILE="") as live:
        yield live


@pytest.fixture(scope="session")
def triton_real(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    """The real networks, as this machine serves them."""
    with serving(repository, tmp_path_factory.mktemp("triton_real"), MODELS=",".join(TRAINED)) as live:
        yield live


@pytest.fixture(scope="session")
def triton_real_fp32(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    """The real networks in config.pbtxt of every model: FP32 on onnxruntime's CPU provider."""
    folder = tmp_path_factory.mktemp("triton_real_fp32")
    with serving(repository, folder, MODELS=",".join(TRAINED), PROFILE="") as live:
        yield live


@pytest.fixture(scope="session")
def shared_gateway(triton: Live, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A gateway with its default settings before `triton`, but for a time-out that only ends a hang.

    What it counts and records, all tests add to.
    """
    with gateway(triton.grpc_url, tmp_path_factory.mktemp("gateway"), GATEWAY_TIMEOUT_S="120") as running:
        yield running
