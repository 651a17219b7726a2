"""Every awkward file and SMILES: a problem document with a reason, or an answer; and nothing of it is kept."""

from __future__ import annotations

import csv
import io
import json

import httpx
import pytest

from preprocess.rejection import Reason
from tests.support.gateway_process import Running
from tests.support.samples import SampleData

REASONS = {str(reason.value) for reason in Reason}


def _is_problem(answer: httpx.Response) -> bool:
    found = answer.json()
    return (
        400 <= answer.status_code < 500
        and answer.headers["content-type"] == "application/problem+json"
        and found["status"] == answer.status_code
        and found["type"] == f"urn:medserve:{found['code']}"
        and found["detail"].strip() != ""
    )


def test_every_awkward_file(shared_gateway: Running, sample_data: SampleData) -> None:
    folder = sample_data.folder / "data" / "awkward"
    rows = list(csv.DictReader(io.StringIO((folder / "expect.csv").read_text("utf-8"), newline="")))
    with shared_gateway.client() as client:
        for row in rows:
            content = (folder / row["file"]).read_bytes()
            answer = client.post("/predict/skin_lesion", files={"file": (row["file"], content)})
            assert answer.status_code == 200 or _is_problem(answer), (row["file"], answer.status_code, answer.text)
            if row["expect"] == "reject":
                assert answer.status_code == 422, row["file"]
                assert answer.json()["code"] in REASONS, row["file"]
    assert len(rows) > 30


def test_every_awkward_smiles(shared_gateway: Running, sample_data: SampleData) -> None:
    folder = sample_data.folder / "data" / "awkward"
    texts = [
        row["smiles"] for row in csv.DictReader(io.StringIO((folder / "smiles.csv").read_text("utf-8"), newline=""))
    ]
    with shared_gateway.client() as client:
        for text in texts:
            answer = client.post("/predict/solubility", json={"smiles": text})
            assert answer.status_code == 200 or _is_problem(answer), (text, answer.text)
            if answer.status_code != 200 and len(text) > 3:
                assert text not in answer.text


def test_a_batch_isolates_what_fails(shared_gateway: Running, sample_data: SampleData) -> None:
    films = [file.path for file in sample_data.files("cxr")[:3]]
    contents = [films[0].read_bytes(), b"no film", films[1].read_bytes()[:-500], films[2].read_bytes()]
    with shared_gateway.client() as client:
        found = client.post(
            "/predict/chest_xray/batch", files=[("file", ("x.png", content)) for content in contents]
        ).json()["results"]
    assert [one["index"] for one in found] == [0, 1, 2, 3]
    assert [one["status"] for one in found] == [200, 422, 422, 200]
    assert found[1]["problem"]["code"] == "not_an_image"
    assert "answer" not in found[1]


@pytest.mark.parametrize(
    ("arguments", "status", "code"),
    [
        ({"content": b"", "headers": {"content-type": "multipart/form-data"}}, 400, "bad_form"),
        ({"content": b"--x", "headers": {"content-type": "multipart/form-data; boundary=x"}}, 422, "missing_field"),
        ({"content": b"{", "headers": {"content-type": "application/json"}}, 400, "bad_json"),
        ({"content": b"[" * 100_000, "headers": {"content-type": "application/json"}}, 400, "bad_json"),
        ({"json": {"image": 7}}, 422, "wrong_type"),
        ({"json": "\ud800"}, 400, "bad_json"),
        ({"files": {"image": ("a", b"")}}, 422, "empty"),
        ({"files": {"picture": ("a", b"x")}}, 422, "unknown_field"),
        ({"files": [("file", ("a", b"x")), ("file", ("b", b"x"))]}, 400, "one_item"),
        ({"data": {"patient": "x"}}, 422, "missing_field"),
        ({}, 422, "missing_field"),
        ({"content": b"GIF89a"}, 422, None),
    ],
)
def test_malformed_requests(shared_gateway: Running, arguments: dict, status: int, code: str | None) -> None:
    if arguments.get("json") == "\ud800":
        arguments = {"content": json.dumps("\ud800"), "headers": {"content-type": "application/json"}}
    with shared_gateway.client() as client:
        answer = client.post("/predict/chest_xray", **arguments)
    assert answer.status_code == status, answer.text
    assert _is_problem(answer)
    assert code in (None, answer.json()["code"])


def test_unknown_things(shared_gateway: Running) -> None:
    with shared_gateway.client() as client:
        assert client.post("/predict/no_such_model", json={}).status_code == 404
        assert client.get("/predict/chest_xray").status_code == 405
        assert client.get("/nowhere").json()["code"] == "not_found"
        assert client.post("/predict/chest_xray?heatmap=gold", json={}).json()["code"] == "invalid_request"
        assert client.post("/feedback/xyz", json={"label": "x"}).status_code == 422
        assert client.post(f"/feedback/{'0' * 32}", json={"label": "x"}).status_code == 404
