"""A caller who wants probabilities alone pays for nothing else."""

from __future__ import annotations

import numpy as np
import tritonclient.grpc as grpc

from export.samples import picture
from tests.support.clock import until
from tests.support.live import Live


def _ask(client, model: str, *outputs: str) -> None:
    value = np.array([[picture(2)]], np.object_)
    image = grpc.InferInput("image", value.shape, "BYTES")
    image.set_data_from_numpy(value)
    wanted = [grpc.InferRequestedOutput(name) for name in outputs]
    client.infer(model, [image], outputs=wanted)


def test_probabilities_alone_do_not_run_the_report(triton: Live) -> None:
    client = grpc.InferenceServerClient(f"127.0.0.1:{triton.grpc}")
    _ask(client, "chest_xray", "probabilities")  # counters may not exist before
    before = triton.counts("report")
    for _ in range(5):
        _ask(client, "chest_xray", "probabilities")
    _ask(client, "chest_xray", "probabilities", "report")
    # Triton counts a request after it has answered: the count is awaited, then it must be one and no more.
    until(lambda: triton.counts("report") > before, "the one request of a report to be counted")
    assert triton.counts("report") == (before[0] + 1, before[1] + 1)
