"""Two live Tritons for the whole run: the repository as it is, and the same on the FP32 CPU provider."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import copy_repository, replace_file
from tests.serving.live import Live, serving


@pytest.fixture(scope="session")
def triton(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    """The repository as exported; models that ask for OpenVINO have it where it can be had."""
    with serving(repository, tmp_path_factory.mktemp("triton")) as live:
        yield live


@pytest.fixture(scope="session")
def fp32_repository(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same artefacts, no accelerator; and each ensemble once more without its report step."""
    folder = copy_repository(repository, tmp_path_factory.mktemp("fp32") / "model_repository")
    for config in folder.glob("*_net/config.pbtxt"):
        replace_file(config, re.sub(r"(?ms)^optimization \{.*?^\}\n", "", config.read_text()))
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
    """onnxruntime's CPU provider for every model."""
    with serving(fp32_repository, tmp_path_factory.mktemp("triton_fp32")) as live:
        yield live
