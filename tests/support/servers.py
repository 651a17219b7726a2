"""The live servers that tests share, one of each for a run: tiny networks, real ones to judge accuracy, a gateway."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.gateway_process import Running, gateway
from tests.support.live import Live, serving
from tests.support.repositories import TRAINED


@pytest.fixture(scope="session")
def triton(tiny_repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    """All nine models as tiny networks in FP32 on every machine."""
    with serving(tiny_repository, tmp_path_factory.mktemp("triton"), PROFILE="") as live:
        yield live


@pytest.fixture(scope="session")
def triton_real(real_repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    """The real networks, as this machine serves them."""
    with serving(real_repository, tmp_path_factory.mktemp("triton_real"), MODELS=",".join(TRAINED)) as live:
        yield live


@pytest.fixture(scope="session")
def triton_real_fp32(real_repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    """The real networks in config.pbtxt of every model: FP32 on onnxruntime's CPU provider."""
    folder = tmp_path_factory.mktemp("triton_real_fp32")
    with serving(real_repository, folder, MODELS=",".join(TRAINED), PROFILE="") as live:
        yield live


@pytest.fixture(scope="session")
def shared_gateway(triton: Live, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A gateway with its default settings before `triton`, but for a time-out that only ends a hang.

    What it counts and records, all tests add to.
    """
    with gateway(triton.grpc_url, tmp_path_factory.mktemp("gateway"), GATEWAY_TIMEOUT_S="120") as running:
        yield running
