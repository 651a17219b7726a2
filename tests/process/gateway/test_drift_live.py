"""Drift through everything: real films to a real server behind a real gateway, against a reference from its card."""

from __future__ import annotations

import csv
import io
import random
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import numpy as np
import pytest
from PIL import Image, ImageOps

from export.models import all_specs
from export.pictures import Items
from export.reference_distribution import reference_distribution
from export.samples import picture
from medserve import Client
from report.card import FILENAME, Card
from report.comparison import PictureSet
from tests.support.gateway_app import gateway_app
from tests.support.live import Live, serving
from tests.support.repositories import copy_repository, replace_file
from tests.support.samples import SampleData

pytestmark = pytest.mark.slow  # hundreds of requests; tests/unit/gateway/test_drift_films.py has the statistics
MODEL = "chest_xray"
SPEC = all_specs()[MODEL]
WITHIN, LOOKS = 200, 20  # requests; the monitor looks as often
Picture = Callable[[Image.Image], Image.Image]


def _halves(sample_data: SampleData) -> tuple[list[Path], list[Path]]:
    films = [file.path for file in sample_data.files("cxr")]
    random.Random(7).shuffle(films)
    return films[::2], films[1::2]


@pytest.fixture(scope="module")
def server(
    triton: Live, tiny_repository: Path, sample_data: SampleData, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Live]:
    """Whose card holds the distribution of one half of the films, and of its own answers."""
    first, _ = _halves(sample_data)
    with Client(triton.grpc_url, timeout_s=60) as client:
        answers = [outcome.result() for outcome in client.predict_batch(MODEL, [{"image": film} for film in first])]
    items = Items(
        inputs={},
        statistics=np.array([list(answer.statistics.values()) for answer in answers], np.float32),
        labels=np.zeros(len(first), np.int64),
        origin=PictureSet(source="cxr", synthetic=False, sha256=()),
    )
    outputs = {
        name: np.array([answer.outputs[name] for answer in answers]) for name in ("probabilities", "uncertainty")
    }
    folder = tmp_path_factory.mktemp("drift")
    copy = copy_repository(tiny_repository, folder / "model_repository")
    file = copy / SPEC.net / "1" / FILENAME
    card = Card.read(file)
    told = msgspec.to_builtins(card) | {"reference": msgspec.to_builtins(reference_distribution(SPEC, items, outputs))}
    replace_file(file, msgspec.json.encode(told))
    with serving(copy, folder, MODELS=MODEL, PROFILE="") as live:
        yield live


def _asked(server: Live, folder: Path, films: list[Path], change: Picture) -> int | None:
    """After how many requests there was an alert; None: not within WITHIN."""
    chance = random.Random(11)
    with gateway_app(folder, GATEWAY_SERVER=server.grpc_url, GATEWAY_TIMEOUT_S="120") as client:
        for number in range(LOOKS, WITHIN + 1, LOOKS):
            sent = [("file", ("x.png", _png(chance.choice(films), change))) for _ in range(LOOKS)]
            results = client.post(f"/predict/{MODEL}/batch", files=sent).raise_for_status().json()["results"]
            assert {one["status"] for one in results} == {200}
            (found,) = client.get("/drift").json()["models"].values()
            metric = f'medserve_drift_alert{{model="{MODEL}"}} {float(found["alert"])}'
            assert metric in client.get("/metrics").text
            if found["alert"]:
                assert found["reasons"]
                return number
    return None


def _png(film: Path, change: Picture) -> bytes:
    file = io.BytesIO()
    with Image.open(film) as image:
        change(image).save(file, "PNG", compress_level=1)
    return file.getvalue()


def _cropped(image: Image.Image) -> Image.Image:
    width, height = image.size
    return image.crop((width // 5, height // 5, width - width // 5, height - height // 5))


def test_ordinary_films_raise_nothing(server: Live, sample_data: SampleData, tmp_path: Path) -> None:
    _, second = _halves(sample_data)
    assert _asked(server, tmp_path, second, lambda image: image) is None


@pytest.mark.parametrize(
    ("kind", "change"),
    [
        ("inverted", lambda image: ImageOps.invert(image.convert("L"))),
        pytest.param("cropped", _cropped),
        pytest.param("cropped and resized", lambda image: _cropped(image).resize(image.size)),
    ],
)
def test_changed_films_raise_the_alert(
    server: Live, sample_data: SampleData, tmp_path: Path, kind: str, change: Picture
) -> None:
    _, second = _halves(sample_data)
    after = _asked(server, tmp_path, second, change)
    print(f"{kind}: after {after} requests")
    assert after is not None


def test_pictures_of_skin_raise_the_alert(server: Live, sample_data: SampleData, tmp_path: Path) -> None:
    after = _asked(
        server, tmp_path, [file.path for file in sample_data.files("derm")], lambda image: image.convert("RGB")
    )
    print(f"dermoscopy: after {after} requests")
    assert after is not None


def test_molecules_are_compared_with_the_table_that_was_learnt(
    triton: Live, sample_data: SampleData, tmp_path: Path
) -> None:
    """With the shipped weights, as they are exported by default."""
    with (sample_data.folder / "data" / "esol" / "delaney-processed.csv").open(newline="") as table:
        rows = [*csv.DictReader(table)]
    ordinary = [row["smiles"] for row in rows]
    heavy = [row["smiles"] for row in rows if float(row["Molecular Weight"]) > 300]
    chance = random.Random(3)
    for kind, smiles, alert in (("ordinary", ordinary, False), ("heavy", heavy, True)):
        with gateway_app(tmp_path / kind, GATEWAY_SERVER=triton.grpc_url, GATEWAY_TIMEOUT_S="120") as client:
            for _ in range(WITHIN // LOOKS):
                sent = {"items": chance.sample(smiles, LOOKS)}
                client.post("/predict/solubility/batch", json=sent).raise_for_status()
            found = client.get("/drift").json()["models"]["solubility"]
        assert found["reference"] == "delaney-processed.csv"
        assert found["alert"] is alert, (kind, found)


def test_a_model_without_a_reference_says_so(triton: Live, tmp_path: Path) -> None:
    with gateway_app(tmp_path, GATEWAY_SERVER=triton.grpc_url, GATEWAY_TIMEOUT_S="120") as client:
        client.post(f"/predict/{MODEL}", files={"file": ("x.png", picture(1))}).raise_for_status()
        found = client.get("/drift").json()["models"][MODEL]
    assert found["reference"] is None
    assert not found["alert"]
    assert found["notes"]
