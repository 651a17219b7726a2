"""Identifiers in file names, DICOM tags and form fields: nowhere in log, database, metrics, answers or page."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.process.serving.test_dicom import PLANTED, planted_file
from tests.support.gateway_process import Running, gateway
from tests.support.live import Live, serving

NAMES = ("DOE^JANE_19170704.dcm", "PLANTED42.png", "../../PLANTED.dcm")
FIELDS = {"patient": "DOE^PLANTED", "PatientID": "PLANTED42", "born": "19170704"}
SMILES = "CC(C)CC1CCC(CC1)C(C)C(N)PLANTED"


@pytest.fixture(scope="module")
def own_triton(tiny_repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    """With a log of its own."""
    folder = tmp_path_factory.mktemp("triton")
    with serving(tiny_repository, folder, MODELS="chest_xray,solubility", VERBOSE="1") as live:
        yield live


@pytest.fixture(scope="module")
def door(own_triton: Live, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with gateway(own_triton.grpc_url, tmp_path_factory.mktemp("gateway")) as running:
        yield running


def test_nothing_of_a_patient_is_kept_or_told(door: Running, own_triton: Live) -> None:
    whole = planted_file("chest_xray")
    told: list[str] = []
    with door.client() as client:
        for name in NAMES:
            for content in (whole, whole[:-500], b"DOE^PLANTED PLANTED42 is no picture"):
                files = {"file": (name, content)}
                told.append(client.post("/predict/chest_xray?explain=seen", files=files, data=FIELDS).text)
        told.append(client.post("/predict/chest_xray", files={"PLANTED42": (NAMES[0], whole)}).text)
        told.append(client.post("/predict/chest_xray/batch", files=[("file", (NAMES[0], whole))] * 2).text)
        told.append(client.post("/predict/DOE^PLANTED", files={"file": (NAMES[0], whole)}).text)
        told.append(client.post("/predict/solubility", json={"smiles": SMILES}).text)
        told.append(client.post("/predict/solubility", json={"smiles": ["PLANTED"], "DOE^": 7}).text)
        told.append(client.post("/predict/chest_xray?heatmap=PLANTED42&DOE^=1").text)
        told.append(client.post("/feedback/PLANTED42", json={"label": "DOE^PLANTED"}).text)
        right = client.post("/predict/chest_xray", files={"file": (NAMES[0], whole)}).json()["prediction_id"]
        told.append(client.post(f"/feedback/{right}", json={"label": "DOE^PLANTED"}).text)
        pages = ("/", "/metrics", "/drift", "/model-info", "/health", "/openapi.json", "/PLANTED42")
        told += [client.get(page).text for page in pages]
    with sqlite3.connect(door.folder / "audit.sqlite3") as database:
        lines = [str(row) for table in _tables(database) for row in database.execute(f'SELECT * FROM "{table}"')]
    assert sum("chest_xray" in line for line in lines) >= 3 * len(NAMES)
    kept = [path.read_bytes().decode("latin-1") for path in door.folder.iterdir() if path.is_file()]
    for planted in (*PLANTED, "DOE^JANE", SMILES):
        assert not [one for one in (*told, *lines, *kept, door.log(), own_triton.text()) if planted in one], planted


def _tables(database: sqlite3.Connection) -> list[str]:
    return [name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
