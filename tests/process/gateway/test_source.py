"""What the source projects' documents show, unchanged, against a real gateway and a real server."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from medserve import Client
from tests.support.checkout import ROOT
from tests.support.gateway_process import Running
from tests.support.live import Live

PICTURE = ROOT / "examples" / "phantom.png"


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Under the name in the documents' examples."""
    folder = tmp_path_factory.mktemp("films")
    return Path(shutil.copy(PICTURE, folder / "chest_xray.jpg"))  # a PNG: content decides, not the name


def _curl(shared_gateway: Running, folder: Path, *arguments: str) -> tuple[int, dict]:
    """As in the documents, with this gateway's port."""
    if shutil.which("curl") is None:
        pytest.skip("needs curl")
    command = [one.replace("http://localhost:8000", shared_gateway.url) for one in arguments]
    done = subprocess.run(
        ["curl", "--silent", "--write-out", "\n%{http_code}", *command],
        cwd=folder, capture_output=True, text=True,
    )  # fmt: skip
    body, _, status = done.stdout.rpartition("\n")
    return int(status), json.loads(body)


def test_the_pneumonia_front_end_gets_its_three_fields(shared_gateway: Running, film: Path, triton: Live) -> None:
    status, found = _curl(
        shared_gateway, film.parent, "-X", "POST", "http://localhost:8000/api/vision/analyze",
        "-H", "accept: application/json",
        "-H", "Content-Type: multipart/form-data", "-F", "file=@chest_xray.jpg",
    )  # fmt: skip
    assert status == 200
    assert set(found) == {"prediction", "confidence", "disclaimer"}
    with Client(triton.grpc_url) as client:
        direct = client.predict("pneumonia", image=PICTURE)
    assert found["prediction"] == direct.prediction
    assert found["confidence"] == round(direct.confidence, 4)


def test_the_chest_film(shared_gateway: Running, film: Path) -> None:
    status, found = _curl(
        shared_gateway,
        film.parent,
        "-X",
        "POST",
        "http://localhost:8000/predict/chest-xray",
        "-F",
        "file=@chest_xray.jpg",
    )
    assert status == 200
    assert found["confidence"] == found["probabilities"][found["prediction"]] == max(found["probabilities"].values())
    assert set(found["probabilities"]) == {"Normal", "Pneumonia", "COVID-19", "Lung Opacity"}
    assert found["model"] == "chest_xray"
    assert "82.7" in found["accuracy"]


def test_the_lesion(shared_gateway: Running, film: Path) -> None:
    status, found = _curl(
        shared_gateway,
        film.parent,
        "-X",
        "POST",
        "http://localhost:8000/predict/skin-lesion",
        "-F",
        "file=@chest_xray.jpg",
    )
    assert status == 200
    assert found["all_probabilities"] == found["probabilities"]
    assert found["risk_level"] in ("MEDIUM", "HIGH")  # nothing here says that a lesion is harmless
    assert found["disclaimer"] in found["recommendation"]


def test_the_drug_as_a_query_as_json_and_as_a_list(shared_gateway: Running, tmp_path: Path) -> None:
    aspirin = "CC(=O)Oc1ccccc1C(=O)O"
    query = "http://localhost:8000/predict/drug-properties?smiles=CC%28%3DO%29Oc1ccccc1C%28%3DO%29O"
    status, found = _curl(shared_gateway, tmp_path, "-X", "POST", query)
    assert status == 200
    assert found["smiles"] == aspirin
    assert found["properties"]["solubility"] == found["prediction"]
    # PubChem, CID 2244: 180.16 g/mol, 1 donor, 4 acceptors by its own count; RDKit counts 3.
    assert found["properties"]["molecular_weight"] == pytest.approx(180.159, abs=0.01)
    assert (found["properties"]["h_bond_donors"], found["drug_likeness"]) == (1, "PASS")
    url = query.partition("?")[0]
    body = ["-H", "Content-Type: application/json", "-d", json.dumps({"smiles": aspirin})]
    status, again = _curl(shared_gateway, tmp_path, "-X", "POST", url, *body)
    assert (status, again["prediction"]) == (200, found["prediction"])
    body[-1] = json.dumps({"smiles": [aspirin, "not a molecule", "CCO"]})
    status, several = _curl(shared_gateway, tmp_path, "-X", "POST", url, *body)
    assert [one["status"] for one in several["results"]] == [200, 422, 200]
    # Beside others its batch is another, and rounds otherwise.
    assert several["results"][0]["answer"]["properties"] == pytest.approx(found["properties"], abs=1e-4)
    assert several["results"][1]["problem"]["code"] == "not_smiles"
