"""The client against a live server: four ways in, one answer; and what becomes of work that nobody waits for."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from medserve import (
    AsyncClient,
    Client,
    InvalidInput,
    MedServeError,
    Prediction,
    Retry,
    TimedOut,
    Unavailable,
    UnknownModel,
)
from tests.support.checkout import ROOT
from tests.support.clock import HANG_S
from tests.support.live import Live, serving
from tests.support.repositories import gated
from tests.support.samples import SampleData

Given = tuple[str, Mapping[str, object]]
Ask = Callable[[str, list[Given]], list[Prediction]]
ITEMS, REFUSED = "medserve_worker_items", "medserve_worker_refused"
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


@pytest.mark.parametrize("scheme", ["grpc", pytest.param("http", marks=pytest.mark.slow)])
def test_a_call_past_its_deadline_is_not_computed(tiny_repository: Path, tmp_path: Path, scheme: str) -> None:
    model, calls, picture = "pneumonia_cnn", 40, Path("examples/phantom.png").read_bytes()
    repository = gated(tiny_repository, tmp_path / "repository")
    with serving(repository.folder, tmp_path, MODELS=model, STEP_WORKERS="1") as live:
        url = live.grpc_url if scheme == "grpc" else live.http_url
        with Client(url, timeout_s=60, retry=Retry(attempts=1)) as client:
            client.predict(model, image=picture)
            before = _items_computed(live, f"{model}_net")
            with repository.closed():  # so that none can be answered in time
                outcomes = list(client.predict_batch(model, [picture] * calls, concurrency=calls, timeout_s=2.0))
            assert all(isinstance(outcome.error, TimedOut | Unavailable) for outcome in outcomes)
            client.predict(model, image=picture)  # behind what was left of them
            computed = _items_computed(live, f"{model}_net") - before
    # The last call's; and at most that of the request in the worker's hands.
    assert 1 <= computed <= 2, f"{computed:.0f} of {calls} were computed"


def _items_computed(live: Live, net: str) -> float:
    """Of a network so far, once its worker has published all that Triton handed over: computed or refused."""

    def published(found: dict[tuple[str, str, str], float]) -> bool:
        refused = sum(n for (metric, model, _), n in found.items() if (metric, model) == (REFUSED, net))
        return found.get((ITEMS, net, ""), 0.0) + refused >= live.counts(net)[0]

    return live.wait_for_metrics(published)[ITEMS, net, ""]


@pytest.mark.parametrize("scheme", ["grpc", "http"])
def test_what_it_says_of_itself(triton: Live, scheme: str) -> None:
    with Client(triton.grpc_url if scheme == "grpc" else triton.http_url) as client:
        assert client.describe("chest_xray").labels[0] == "Normal"
        health = client.health()
        assert health.ready
        assert set(health.models) == set(client.models())
        client.wait_until_ready("chest_xray", timeout_s=HANG_S)
        with pytest.raises(TimedOut, match="no_such_model"):  # within a second there may be no response at all
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


@pytest.mark.slow
def test_calls_survive_the_ends_of_their_server(tiny_repository: Path) -> None:
    """A short run of `python -m benchmarks.client_soak`: stopped once, killed once."""
    done = subprocess.run(
        [
            sys.executable, "-m", "benchmarks.client_soak",
            "--calls=2000", "--restarts=2", f"--repository={tiny_repository}",
        ],
        cwd=ROOT, capture_output=True, text=True,
    )  # fmt: skip
    print(done.stdout)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2000 calls" in done.stdout
    assert "stopped, killed" in done.stdout
