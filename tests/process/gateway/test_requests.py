"""Requests that are nearly right: no part is overlooked, what is refused is recorded, and nobody else waits."""

from __future__ import annotations

import base64
import hashlib
import json
import socket
import sqlite3
import threading
from pathlib import Path
from uuid import uuid4

import httpx
import psutil
import pytest

from export.samples import picture
from gateway.audit import open_store
from gateway.audit.lines import canonical
from gateway.audit.store import Line
from tests.support.clock import until
from tests.support.gateway_app import gateway_app
from tests.support.gateway_process import Running
from tests.support.live import Live

PATIENCE_S = 120


@pytest.mark.parametrize("name", ["MRI", "mr", "file", "image"])
def test_a_misspelt_input_of_two_is_not_left_out(shared_gateway: Running, name: str) -> None:
    """The answer would be that of the other one alone."""
    film = base64.b64encode(picture(1)).decode()
    ways = (
        {"json": {"ct": film, name: film}},
        {"data": {"ct": film, name: film}},
        {"files": {"ct": ("x.png", picture(1)), name: ("y.png", picture(2))}},
        {"files": {"ct": (None, picture(1)), name: (None, picture(2))}},
    )
    with shared_gateway.client() as client:
        for sent in ways:
            answer = client.post("/predict/brain_fusion", **sent)
            assert (answer.status_code, answer.json()["code"]) == (422, "unknown_field"), sent.keys()
        for query, sent in (
            (f"?{name}=AAAA", {"json": {"ct": film}}),
            ("?mri=AAAA", {"json": {"ct": film}}),
            (f"/batch?{name}=AAAA", {"json": {"items": [{"ct": film}]}}),
            ("/batch", {"json": {"items": [{"ct": film}], name: film}}),
        ):
            answer = client.post(f"/predict/brain_fusion{query}", **sent)
            assert (answer.status_code, answer.json()["code"]) == (422, "unknown_field"), query
        assert client.post("/predict/brain_fusion?heatmap=none", json={"ct": film}).status_code == 200


def test_a_picture_needs_no_file_name(shared_gateway: Running) -> None:
    """Its bytes are what came, to the digest in the audit log."""
    film = picture(1)
    with shared_gateway.client() as client:
        answer = client.post("/predict/chest_xray", files={"file": (None, film)})
        assert answer.status_code == 200
        form = client.post("/predict/chest_xray", data={"image": base64.b64encode(bytes(1 << 20) + film).decode()})
        assert form.json()["code"] != "bad_form"  # more than a megabyte in a field
        fields = "&".join(f"a{number}=1" for number in range(2000))
        kind = {"content-type": "application/x-www-form-urlencoded"}
        assert client.post("/predict/chest_xray", content=fields, headers=kind).json()["code"] == "bad_form"
    with sqlite3.connect(shared_gateway.folder / "audit.sqlite3") as database:
        (line,) = database.execute(
            "SELECT line FROM audit_lines WHERE prediction_id = ?", (answer.json()["prediction_id"],)
        ).fetchone()
    assert json.loads(line)["input_sha256"] == [hashlib.sha256(film).hexdigest()]


@pytest.mark.parametrize("wrong", [5, {}, None, {"smiles": 7}, ["CCO"]])
def test_one_item_of_json_does_not_spoil_the_others(shared_gateway: Running, wrong: object) -> None:
    with shared_gateway.client() as client:
        found = client.post("/predict/solubility/batch", json={"items": ["CCO", wrong, "CCC"]}).json()["results"]
        assert [one["status"] for one in found] == [200, 422, 200]
        assert client.post("/predict/solubility", json={"items": []}).json()["code"] == "one_item"
        assert client.post("/predict/solubility/batch", json={"items": []}).json() == {"results": []}


def test_what_is_refused_is_recorded_under_an_id_that_is_told(shared_gateway: Running) -> None:
    with shared_gateway.client() as client:
        answers = {
            "unknown_model": client.post("/predict/nothing", json={"smiles": "C"}),
            "missing_field": client.post("/predict/solubility", json={"molecule": "C"}),
            "bad_json": client.post("/predict/solubility", content=b"{", headers={"content-type": "application/json"}),
            "not_smiles": client.post("/predict/solubility", json={"smiles": "not a molecule"}),
        }
        batch = client.post("/predict/solubility/batch", json={"items": [5, "not a molecule"]}).json()["results"]
    told = {code: answer.headers["X-Prediction-Id"] for code, answer in answers.items()}
    told |= {f"batch {one['problem']['code']}": one["problem"]["prediction_id"] for one in batch}
    assert len(set(told.values())) == len(told) == 6
    with sqlite3.connect(shared_gateway.folder / "audit.sqlite3") as database:
        for code, own in told.items():
            (line,) = database.execute("SELECT line FROM audit_lines WHERE prediction_id = ?", (own,)).fetchone()
            entry = json.loads(line)
            assert (entry["kind"], entry["outcome"]) == ("refusal", code.removeprefix("batch ")), code
            assert entry["model"] == ("" if code == "unknown_model" else "solubility")


def test_json_of_many_values_costs_nothing(shared_gateway: Running) -> None:
    """Ninety megabytes of empty lists were two gigabytes, and eleven seconds in which nobody was answered."""
    body = b'{"smiles": "CCO", "x": [' + b"[]," * 20_000_000 + b"[]]}"
    process = psutil.Process(shared_gateway.process.pid)

    def others() -> None:
        while not done.is_set():
            httpx.get(f"{shared_gateway.url}/", timeout=PATIENCE_S).raise_for_status()
            peak.append(process.memory_info().rss)

    peak, done = [process.memory_info().rss], threading.Event()
    thread = threading.Thread(target=others)
    thread.start()
    try:
        with shared_gateway.client() as client:
            answer = client.post("/predict/solubility", content=body, headers={"content-type": "application/json"})
    finally:
        done.set()
        thread.join()
    assert (answer.status_code, answer.json()["code"]) == (413, "too_many_values")
    assert max(peak) - peak[0] < 300 << 20


def test_nor_does_feedback(shared_gateway: Running) -> None:
    process = psutil.Process(shared_gateway.process.pid)
    before = process.memory_info().rss
    body = b'{"label": "a", "x": [' + b"{}," * 6_000_000 + b"{}]}"
    with shared_gateway.client() as client:
        path, kind = f"/feedback/{'0' * 32}", {"content-type": "application/json"}
        assert client.post(path, content=body, headers=kind).json()["code"] == "too_many_values"
        assert client.post(path, json={"label": "a"}).json()["code"] == "unknown_prediction"
        for wrong in ({}, {"label": ""}, {"label": 7}, {"label": "a", "more": 1}, ["a"]):
            assert client.post(path, json=wrong).status_code == 422, wrong
    assert process.memory_info().rss - before < 150 << 20


def test_only_what_this_network_answered_says_how_good_it_is(
    triton: Live, tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    """Of a log in which another network's answers were labelled; and a label that comes late for one of those."""
    film, kind = picture(1), {"content-type": "image/png"}
    with gateway_app(tmp_path, GATEWAY_SERVER=triton.grpc_url) as client:
        own = client.post("/predict/chest_xray", content=film, headers=kind).json()
        said = {"label": own["prediction"]}
        assert client.post(f"/feedback/{own['prediction_id']}", json=said).status_code == 204
    store = open_store(f"sqlite:///{tmp_path}/audit.sqlite3")
    (text,) = (line for line in store.lines_of(own["prediction_id"]) if '"kind":"answer"' in line)
    of = json.loads(text)
    others = [uuid4().hex for _ in range(2)]
    told = [{"prediction_id": other, "artefact_sha256": "ab" * 32} for other in others]
    told += [{**told[0], "kind": "feedback"}]
    store.append([Line(one["prediction_id"], canonical({**of, **one})) for one in told])
    store.close()
    with gateway_app(tmp_path, GATEWAY_SERVER=triton.grpc_url) as client:
        assert client.post(f"/feedback/{others[1]}", json=said).status_code == 204
        until(lambda: client.get("/drift").json()["models"]["chest_xray"]["performance"], "the labels of before")
        found = client.get("/drift").json()["models"]["chest_xray"]["performance"]
        assert (found["count"], found["accuracy"]["right"]) == (1, 1)
    assert "feedback" not in caplog.text + capfd.readouterr().err


def test_the_path_says_no_other_host(shared_gateway: Running) -> None:
    with shared_gateway.client() as client:
        answer = client.post("/predict/solubility/", json={"smiles": "CCO"}, headers={"Host": "localhost"})
        assert (answer.status_code, "location" in answer.headers) == (404, False)
        assert client.head("/health").status_code == 200


def test_a_caller_that_hangs_up_leaves_no_traceback(shared_gateway: Running) -> None:
    parts, ports = httpx.URL(shared_gateway.url), set()
    for _ in range(3):
        with socket.create_connection((parts.host, parts.port)) as caller:
            caller.sendall(b"POST /predict/solubility HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\nabc")
            ports.add(caller.getsockname()[1])

    def open_ports() -> set[int]:
        found = psutil.Process(shared_gateway.process.pid).net_connections("tcp")
        return {connection.raddr.port for connection in found if connection.raddr}

    until(lambda: not ports & open_ports(), "the gateway has closed its ends")
    assert httpx.get(f"{shared_gateway.url}/health", timeout=PATIENCE_S).status_code == 200
    assert "Traceback" not in shared_gateway.log()


def test_a_molecule_beyond_everything_that_was_measured_goes_to_a_person(shared_gateway: Running) -> None:
    with shared_gateway.client() as client:
        chain = client.post("/predict/solubility", json={"smiles": "C" * 256}).json()
        assert client.post("/predict/solubility", json={"smiles": "CCO"}).json()["needs_review"] is False
    assert chain["needs_review"], chain["prediction"]
    assert "outside of -11.6 to 1.58" in chain["review_reasons"][0]
