"""A caller who requests probabilities alone is answered as fast as without the report step in the ensemble."""

from __future__ import annotations

import re
import statistics
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import tritonclient.grpc as grpc

from export.samples import picture
from tests.support.live import Live, serving
from tests.support.repositories import copy_repository

WITHOUT_REPORT = "chest_xray_bare"


@pytest.fixture(scope="module")
def triton(tiny_repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    """An ensemble, and the same once more without its report step."""
    folder = copy_repository(tiny_repository, tmp_path_factory.mktemp("pruning") / "model_repository")
    bare = folder / WITHOUT_REPORT
    (bare / "1").mkdir(parents=True)
    text = (folder / "chest_xray" / "config.pbtxt").read_text().replace('"chest_xray"', f'"{WITHOUT_REPORT}"')
    text = re.sub(r'(?ms)^  step \{\n    model_name: "report".*?^  \}\n', "", text)
    text = re.sub(r'(?ms)^    output_map \{\n      key: "summary".*?^    \}\n', "", text)
    text = re.sub(r'(?ms)^output \{\n  name: "report".*?^\}\n', "", text).replace('label_filename: "labels.txt"', "")
    (bare / "config.pbtxt").write_text(text)
    with serving(folder, folder.parent, MODELS=f"chest_xray,{WITHOUT_REPORT}", PROFILE="") as live:
        yield live


def _ask(client, model: str, *outputs: str) -> float:
    value = np.array([[picture(2)]], np.object_)
    image = grpc.InferInput("image", value.shape, "BYTES")
    image.set_data_from_numpy(value)
    wanted = [grpc.InferRequestedOutput(name) for name in outputs]
    start = time.perf_counter()
    client.infer(model, [image], outputs=wanted)
    return time.perf_counter() - start


def test_probabilities_alone_are_no_slower_than_without_the_report_step(triton: Live) -> None:
    client = grpc.InferenceServerClient(f"127.0.0.1:{triton.grpc}")
    times: dict[str, list[float]] = {"chest_xray": [], "chest_xray_bare": []}
    for _ in range(40):
        for model, seen in times.items():
            seen.append(_ask(client, model, "probabilities"))
    ratio = statistics.median(times["chest_xray"]) / statistics.median(times["chest_xray_bare"])
    print(f"median latency, with the report step ÷ without: {ratio:.3f}")
    assert ratio < 1.15  # the two are the same work; the rest is the machine's noise
