"""Python models' own queues, seen from outside: no lost time, no lost request, and what they say of themselves."""

from __future__ import annotations

import asyncio
import io
import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import tritonclient.grpc as grpc
from PIL import Image

from medserve import AsyncClient, Client, InvalidInput, Overloaded, Prediction, Retry
from tests.support.checkout import ROOT
from tests.support.clock import HANG_S, until
from tests.support.live import serving
from tests.support.repositories import gated

MODEL, NET = "pneumonia_cnn", "pneumonia_cnn_net"
PICTURE = (ROOT / "examples" / "phantom.png").read_bytes()
PIXELS = np.zeros((1, 3, 224, 224), np.uint8)


def _asked(client: grpc.InferenceServerClient, answers: list[bool], count: int = 1) -> None:
    sent = np.repeat(PIXELS, count, axis=0)
    pixels = grpc.InferInput("pixels", sent.shape, "UINT8")
    pixels.set_data_from_numpy(sent)
    found = client.infer(NET, [pixels]).as_numpy("probabilities")
    answers.append(found is not None and len(found) == count)


def test_tensors_in_flight_are_answered_when_the_server_ends(tiny_repository: Path, tmp_path: Path) -> None:
    """What was sent before the signal is answered, on each of sixteen threads that send without a break."""
    with serving(tiny_repository, tmp_path, MODELS=MODEL, PROFILE="") as live:
        client = grpc.InferenceServerClient(f"127.0.0.1:{live.grpc}")
        answers: list[bool] = []
        stopping = threading.Event()

        def send() -> int:
            sent = 0
            while not stopping.is_set():
                sent += 1
                _asked(client, answers)
            return sent

        with ThreadPoolExecutor(16) as pool:
            senders = [pool.submit(send) for _ in range(16)]
            until(lambda: len(answers) >= 64, "answers")
            stopping.set()
            assert live.stop(signal.SIGTERM) == 0
            assert sum(sender.result() for sender in senders) == len(answers)
        assert all(answers)


def test_workers_count_what_they_did(tiny_repository: Path, tmp_path: Path) -> None:
    step = "preprocess_xray"
    repository = gated(tiny_repository, tmp_path / "repository", step)
    with serving(repository.folder, tmp_path, MODELS=MODEL, QUEUE_SIZE="4", STEP_WORKERS="1") as live:
        assert f"{step}_0_1" not in live.workers()
        requests = ("medserve_worker_requests", NET, "")
        before = live.wait_for_metrics(lambda found: requests in found)  # the warm-up

        async def calls() -> tuple[int, int]:
            async with AsyncClient(live.grpc_url, timeout_s=HANG_S, retry=Retry(attempts=1)) as client:
                await client.predict(MODEL, {"image": PICTURE})
                with repository.closed():
                    under_way = [asyncio.create_task(client.predict(MODEL, {"image": PICTURE})) for _ in range(60)]
                    # One in the worker's hands, four in its queue: the others are refused while nothing moves.
                    pending = set(under_way)
                    while len(pending) > 5:
                        _, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
                ended = await asyncio.gather(*under_way, return_exceptions=True)
                after = await client.predict(MODEL, {"image": PICTURE})
            assert isinstance(after, Prediction)
            assert all(isinstance(one, Prediction | Overloaded) for one in ended), ended
            answered = sum(isinstance(one, Prediction) for one in ended)
            return 2 + answered, len(ended) - answered

        answered, refused = asyncio.run(calls())
        assert (answered, refused) == (2 + 5, 55)

        def grown(found: dict[tuple[str, str, str], float]) -> dict[tuple[str, str, str], float]:
            return {key: value - before.get(key, 0.0) for key, value in found.items()}

        def rejected(found: dict[tuple[str, str, str], float]) -> float:
            return sum(found.get(("medserve_worker_refused", name, "full"), 0.0) for name in (step, NET))

        after = live.wait_for_metrics(
            lambda found: grown(found)[requests] >= answered and rejected(grown(found)) >= refused
        )
        counted = grown(after)
        assert counted[requests] == answered
        assert answered <= counted["medserve_worker_requests", step, ""] <= 62
        assert rejected(counted) == refused
        assert counted["medserve_worker_items", NET, ""] == answered
        assert counted["medserve_worker_queue_seconds", NET, ""] > 0
        assert counted["medserve_worker_work_seconds", NET, ""] > 0
        live.wait_for_metrics(lambda found: found["medserve_worker_waiting", step, f"{step}_0_0"] == 0)


def test_what_was_read_and_what_was_refused_is_counted(tiny_repository: Path, tmp_path: Path) -> None:
    jpeg = io.BytesIO()
    Image.open(io.BytesIO(PICTURE)).convert("L").resize((120, 100)).save(jpeg, "JPEG")
    with serving(tiny_repository, tmp_path, MODELS=f"{MODEL},solubility") as live, Client(live.grpc_url) as client:
        for sent in (PICTURE, jpeg.getvalue(), jpeg.getvalue()):
            client.predict(MODEL, image=sent)
        client.predict("solubility", smiles="CCO")
        for model, inputs in ((MODEL, {"image": b"patient DOE^JANE"}), ("solubility", {"smiles": "not a molecule"})):
            with pytest.raises(InvalidInput):
                client.predict(model, inputs)
        step, last = "preprocess_xray", ("medserve_input_refused", "featurize_molecule", "not_smiles")
        told = live.wait_for_metrics(
            lambda found: found.get(last) == 1 and found.get(("medserve_input_refused", step, "not_an_image")) == 1
        )
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
