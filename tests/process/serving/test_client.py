"""The client against a live server: four ways in, one answer; and what becomes of work that nobody waits for."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from medserve import AsyncClient, Client, InvalidInput, MedServeError, Prediction, TimedOut, Unavailable, UnknownModel
from tests.support.checkout import ROOT
from tests.support.live import TOLD_S, Live
from tests.support.samples import SampleData

Given = tuple[str, Mapping[str, object]]
Ask = Callable[[str, list[Given]], list[Prediction]]
SMILES = ("CCO", "c1ccccc1", "CC(=O)Oc1ccccc1C(=O)O")


def ask_sync(url: str, items: list[Given], **options) -> list[Prediction]:
    with Client(url, timeout_s=60, **options) as client:
        return [client.predict(model, inputs) for model, inputs in items]


def ask_async(url: str, items: list[Given], **options) -> list[Prediction]:
    async def ask() -> list[Prediction]:
        async with AsyncClient(url, timeout_s=60, **options) as client:
            return [await client.predict(model, inputs) for model, inputs in items]

    return asyncio.run(ask())


@pytest.fixture(scope="module")
def thirty(sample_data: SampleData) -> list[Given]:
    """Real films, dermoscopies, slices, DICOM files, molecules."""

    def some(group: str, count: int) -> list[Path]:
        files = [each.path for each in sample_data.files(group)]
        return files[:: max(1, len(files) // count)][:count]

    found: list[Given] = [("chest_xray", {"image": path}) for path in some("cxr", 6)]
    found += [("pneumonia", {"image": path}) for path in some("cxr", 4)]
    found += [("skin_lesion", {"image": path}) for path in some("derm", 7)]
    found += [("brain_ct", {"image": path}) for path in some("brain_ct", 4)]
    found += [("brain_mri", {"image": path}) for path in some("brain_mri", 3)]
    ct, mri = some("brain_ct", 1)[0], some("brain_mri", 1)[0]
    found += [("brain_fusion", {"ct": ct, "mri": mri}), ("brain_fusion", {"mri": mri})]
    found += [("solubility", {"smiles": smiles}) for smiles in SMILES]
    dicom = sample_data.folder / "data" / "dicom"
    found += [("brain_ct", {"image": path}) for path in sorted(dicom.rglob("*CT*.dcm"))[:2]]
    return found


def _said(answer: Prediction) -> tuple[str, dict[str, bytes]]:
    """All of it but the time."""
    report = {name: value for name, value in answer.report.items() if name != "timestamp"}
    return json.dumps(report), {name: array.tobytes() for name, array in answer.outputs.items()}


def test_thirty_items_four_ways(triton: Live, thirty: list[Given]) -> None:
    assert len(thirty) == 30
    answers = [ask(url, thirty) for ask in (ask_sync, ask_async) for url in (triton.grpc_url, triton.http_url)]
    for first, *others in zip(*answers, strict=True):
        assert all(_said(other) == _said(first) for other in others), first.model
    assert {answer.model for answer in answers[0]} == {model for model, _ in thirty}


def test_reading_files_here_gives_the_same_answer_bit_for_bit(triton: Live, thirty: list[Given]) -> None:
    files = ask_sync(triton.grpc_url, thirty)
    for ask, url in ((ask_sync, triton.grpc_url), (ask_async, triton.http_url)):
        for item, here, there in zip(thirty, ask(url, thirty, preprocess=True), files, strict=True):
            assert _said(here) == _said(there), item


def test_what_is_refused_here_is_what_the_server_refuses(triton: Live, sample_data: SampleData) -> None:
    for name in ("truncated", "empty", "not_an_image"):
        for path in sorted((sample_data.folder / "data" / "awkward").glob(f"*{name}*"))[:2]:
            codes = set()
            for preprocess in (False, True):
                with Client(triton.grpc_url, preprocess=preprocess) as client, pytest.raises(InvalidInput) as refused:
                    client.predict("chest_xray", image=path)
                codes.add(refused.value.code)
            assert len(codes) == 1, path


def test_another_library_is_another_preprocessing(triton: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    from preprocess import identity

    monkeypatch.setattr(identity, "identity", lambda: {"preprocess": "1", "pillow": "1.0"})
    with Client(triton.grpc_url, preprocess=True) as client, pytest.raises(InvalidInput, match="pillow") as refused:
        client.predict("chest_xray", image=Path("examples/phantom.png"))
    assert refused.value.code == "other_preprocessing"


@pytest.mark.parametrize("scheme", ["grpc", "http"])
def test_64_threads_share_one_client(triton: Live, scheme: str) -> None:
    url = triton.grpc_url if scheme == "grpc" else triton.http_url
    with Client(url, timeout_s=60) as client, ThreadPoolExecutor(64) as pool:
        alone = {smiles: client.predict("solubility", smiles=smiles).prediction for smiles in SMILES}

        def differs(index: int) -> bool:
            smiles = SMILES[index % len(SMILES)]
            found = client.predict("solubility", smiles=smiles).prediction
            return abs(float(found) - float(alone[smiles])) > 1e-3  # batches round otherwise

        assert not any(pool.map(differs, range(640)))


@pytest.mark.parametrize("scheme", ["grpc", "http"])
def test_work_that_nobody_waits_for_is_dropped(triton_fp32: Live, scheme: str) -> None:
    """Sixty pictures at once are more than a second's work here; each waits for a fifth of one."""
    url = triton_fp32.grpc_url if scheme == "grpc" else triton_fp32.http_url
    picture = Path("examples/phantom.png").read_bytes()
    with Client(url, timeout_s=60) as client:
        client.predict("chest_xray", image=picture)
        before = _computed(triton_fp32, "chest_xray_net")
        outcomes = list(client.predict_batch("chest_xray", [picture] * 60, concurrency=60, timeout_s=0.2))
        computed = _computed(triton_fp32, "chest_xray_net") - before
    failed = [outcome.error for outcome in outcomes if outcome.error is not None]
    print(f"{scheme}: {len(failed)} of 60 gave up, the network computed {computed:.0f}")
    assert len(failed) > 20
    assert all(isinstance(error, (TimedOut, Unavailable)) for error in failed)
    # Who gave up while the network was at his picture, in the batch then under way or the one of those who came first.
    assert computed <= 60 - len(failed) + 2 * 16


def _computed(live: Live, network: str) -> float:
    """Pictures so far. What Triton counts of a python model is what it handed over, dropped or not."""
    time.sleep(TOLD_S)
    return live.workers_told()["medserve_worker_items", network, ""]


@pytest.mark.parametrize("scheme", ["grpc", "http"])
def test_what_it_says_of_itself(triton: Live, scheme: str) -> None:
    with Client(triton.grpc_url if scheme == "grpc" else triton.http_url) as client:
        assert client.describe("chest_xray").labels[0] == "Normal"
        health = client.health()
        assert health.ready
        assert set(health.models) == set(client.models())
        client.wait_until_ready("chest_xray", timeout_s=5)
        with pytest.raises(TimedOut, match="no_such_model is not ready"):
            client.wait_until_ready("no_such_model", timeout_s=1)
        for unknown in ("chest_xray_net", "preprocess_xray", "report", "no_such_model"):
            with pytest.raises(UnknownModel, match="expected one of brain_ct"):
                client.predict(unknown, image=b"x")
        film = Path("examples/phantom.png")
        assert client.seen("chest_xray", image=film)["image"].shape == (224, 224, 3)
        assert client.seen("solubility", smiles="CCO") == {}


@pytest.mark.parametrize("ask", [ask_sync, ask_async])
def test_every_way_to_hold_a_picture(triton: Live, ask: Ask) -> None:
    from PIL import Image

    film = Path("examples/phantom.png")
    image = Image.open(film)
    image.load()
    ways: list[object] = [film, film.read_bytes(), image]
    if image.mode in ("L", "RGB"):
        ways.append(np.asarray(image))
    answers = ask(triton.grpc_url, [("chest_xray", {"image": way}) for way in ways])
    assert len({_said(answer)[0] for answer in answers}) == 1


def test_a_batch_of_real_files_isolates_what_is_broken(triton: Live, sample_data: SampleData) -> None:
    films = [each.path for each in sample_data.files("cxr")[:6]]
    items: list[object] = [films[0], b"not a picture", films[1], Path("gone.png"), *films[2:]]
    with Client(triton.http_url) as client:
        outcomes = list(client.predict_batch("chest_xray", items, concurrency=4))
    assert [outcome.error is None for outcome in outcomes] == [True, False, True, False, *[True] * 4]
    assert isinstance(outcomes[1].error, MedServeError)
    assert outcomes[1].error.code == "not_an_image"


def test_calls_survive_the_ends_of_their_server(repository: Path) -> None:
    """A short run of `python -m benchmarks.client_soak`: stopped once, killed once."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.client_soak", "--calls=2000", "--restarts=2", f"--repository={repository}"],
        cwd=ROOT, capture_output=True, text=True,
    )  # fmt: skip
    print(done.stdout)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2000 calls" in done.stdout
    assert "stopped, killed" in done.stdout
