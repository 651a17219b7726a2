"""Python models' own queues, seen from outside: no lost time, no lost request, and what they say of themselves."""

from __future__ import annotations

import asyncio
import io
import signal
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import tritonclient.grpc as grpc
from PIL import Image

from medserve import AsyncClient, Client, InvalidInput, Prediction, Retry
from tests.support.checkout import ROOT
from tests.support.live import TOLD_S, Live, serving

MODEL, NET = "pneumonia_cnn", "pneumonia_cnn_net"
PICTURE = (ROOT / "examples" / "phantom.png").read_bytes()
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
def test_who_comes_while_a_network_is_busy_waits_for_it_and_no_longer(triton_fp32: Live, callers: int) -> None:
    """Behind a queue policy of Triton's 2.51 they were looked at when the next caller came, or after half a second: in
    every second burst, or an eighth to a quarter of a second for each request on average."""
    client = grpc.InferenceServerClient(f"127.0.0.1:{triton_fp32.grpc}")
    answers: list[bool] = []
    before = triton_fp32.queued(NET)
    for _ in range(ROUNDS):
        threads = [threading.Thread(target=_asked, args=(client, answers, 16))]  # keeps the network busy
        threads += [threading.Thread(target=_asked, args=(client, answers)) for _ in range(callers)]
        for thread in threads:
            thread.start()
            time.sleep(0.005)
        for thread in threads:
            thread.join()
    assert answers == [True] * (1 + callers) * ROUNDS
    requests, seconds = (now - then for now, then in zip(triton_fp32.queued(NET), before, strict=True))
    assert requests == (1 + callers) * ROUNDS
    assert seconds / requests < HANDED_OVER_S


def test_tensors_in_flight_are_answered_when_the_server_ends(repository: Path, tmp_path: Path) -> None:
    with serving(repository, tmp_path, MODELS=MODEL, PROFILE="") as live:
        client = grpc.InferenceServerClient(f"127.0.0.1:{live.grpc}")
        answers: list[bool] = []
        threads = [threading.Thread(target=_asked, args=(client, answers)) for _ in range(64)]
        for thread in threads:
            thread.start()
        time.sleep(0.15)
        assert live.stop(signal.SIGTERM) == 0
        for thread in threads:
            thread.join()
        assert answers == [True] * 64


def test_workers_tell_what_they_did(repository: Path, tmp_path: Path) -> None:
    with serving(repository, tmp_path, MODELS=MODEL, QUEUE_SIZE="4", STEP_WORKERS="1") as live:
        time.sleep(TOLD_S)
        before = live.workers_told()  # the warm-up

        async def calls() -> tuple[int, int]:
            async with AsyncClient(live.grpc_url, timeout_s=30, retry=Retry(attempts=1)) as client:
                await client.predict(MODEL, {"image": PICTURE})
                ended = await asyncio.gather(
                    *(client.predict(MODEL, {"image": PICTURE}) for _ in range(60)), return_exceptions=True
                )
            answered = 1 + sum(isinstance(one, Prediction) for one in ended)
            return answered, 61 - answered

        answered, refused = asyncio.run(calls())
        assert refused > 10
        time.sleep(TOLD_S)
        after = live.workers_told()
        grown = {key: value - before.get(key, 0.0) for key, value in after.items()}
        read = grown["medserve_worker_requests", "preprocess_xray", ""]
        computed = grown["medserve_worker_requests", NET, ""]
        turned_away = sum(
            grown.get(("medserve_worker_refused", name, "full"), 0.0) for name in ("preprocess_xray", NET)
        )
        assert computed == answered
        assert answered <= read <= 61
        assert turned_away == refused
        assert grown["medserve_worker_items", NET, ""] == answered
        assert grown["medserve_worker_queue_seconds", NET, ""] > 0
        assert grown["medserve_worker_work_seconds", NET, ""] > 0
        assert after["medserve_worker_waiting", "preprocess_xray", "preprocess_xray_0_0"] == 0


def test_what_was_read_and_what_was_refused_is_counted(repository: Path, tmp_path: Path) -> None:
    jpeg = io.BytesIO()
    Image.open(io.BytesIO(PICTURE)).convert("L").resize((120, 100)).save(jpeg, "JPEG")
    with serving(repository, tmp_path, MODELS=f"{MODEL},solubility") as live, Client(live.grpc_url) as client:
        for sent in (PICTURE, jpeg.getvalue(), jpeg.getvalue()):
            client.predict(MODEL, image=sent)
        client.predict("solubility", smiles="CCO")
        for model, inputs in ((MODEL, {"image": b"patient DOE^JANE"}), ("solubility", {"smiles": "not a molecule"})):
            with pytest.raises(InvalidInput):
                client.predict(model, inputs)
        time.sleep(TOLD_S)
        told = live.workers_told()
        step = "preprocess_xray"
        assert told["medserve_input", step, "png"] == 1
        assert told["medserve_input", step, "jpeg"] == 2
        assert told["medserve_input_bytes", step, ""] == len(PICTURE) + 2 * len(jpeg.getvalue())
        width, height = Image.open(io.BytesIO(PICTURE)).size
        assert told["medserve_input_pixels", step, ""] == width * height + 2 * 120 * 100
        assert told["medserve_input_refused", step, "not_an_image"] == 1
        assert told["medserve_input", "featurize_molecule", "smiles"] == 1
        assert told["medserve_input_refused", "featurize_molecule", "not_smiles"] == 1
        assert told["medserve_worker_failed", NET, ""] == 0
        assert told["medserve_worker_refused", step, "expired"] == 0
