"""How long requests wait between Triton and a python model: time, so on a quiet machine."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest
import tritonclient.grpc as grpc

from tests.support.clock import until
from tests.support.live import Live

NET = "pneumonia_cnn_net"
PIXELS = np.zeros((1, 3, 224, 224), np.uint8)
ROUNDS = 12
HANDED_OVER_S = 0.06  # on average, on a machine that others use too


def _asked(client: grpc.InferenceServerClient, answers: list[bool], count: int = 1) -> None:
    sent = np.repeat(PIXELS, count, axis=0)
    pixels = grpc.InferInput("pixels", sent.shape, "UINT8")
    pixels.set_data_from_numpy(sent)
    found = client.infer(NET, [pixels]).as_numpy("probabilities")
    answers.append(found is not None and len(found) == count)


@pytest.mark.parametrize("callers", [1, 2, 7])
def test_who_comes_while_a_network_is_busy_waits_for_it_and_no_longer(triton: Live, callers: int) -> None:
    """Behind a queue policy of Triton's 2.51 they were looked at when the next caller came, or after half a second: in
    every second burst, or an eighth to a quarter of a second for each request on average."""
    client = grpc.InferenceServerClient(f"127.0.0.1:{triton.grpc}")
    answers: list[bool] = []
    before = triton.queued(NET)
    for _ in range(ROUNDS):
        threads = [threading.Thread(target=_asked, args=(client, answers, 16))]  # keeps the network busy
        threads += [threading.Thread(target=_asked, args=(client, answers)) for _ in range(callers)]
        for thread in threads:
            thread.start()
            time.sleep(0.005)
        for thread in threads:
            thread.join()
    assert answers == [True] * (1 + callers) * ROUNDS
    expected = before[0] + (1 + callers) * ROUNDS
    until(lambda: triton.queued(NET)[0] >= expected, "Triton to count what it has answered")
    requests, seconds = (now - then for now, then in zip(triton.queued(NET), before, strict=True))
    assert requests == (1 + callers) * ROUNDS
    assert seconds / requests < HANDED_OVER_S
