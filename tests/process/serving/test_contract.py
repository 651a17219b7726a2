"""What callers send and get: raw bodies, JSON, labels, reports."""

from __future__ import annotations

import base64
import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
import tritonclient.grpc as grpc
import tritonclient.http as http

from export.models import all_specs
from export.samples import picture
from tests.support.live import Live
from tests.support.samples import SampleData

IMAGE_MODELS = [spec.name for spec in all_specs().values() if spec.step.inputs[0].name == "image"]


def _raw_outputs(answer):
    """Decode a binary HTTP answer with tritonclient's own parser."""
    length = int(answer.headers["Inference-Header-Content-Length"])
    return http.InferenceServerClient.parse_response_body(answer.body, header_length=length)


def test_every_model_is_ready_and_described(triton: Live) -> None:
    for spec in all_specs().values():
        assert triton.request("GET", f"/v2/models/{spec.name}/ready").status == 200
    said = json.loads(triton.generate("describe", model="").json()["description"])
    assert {name: model["task"] for name, model in said.items()} == {s.name: s.task for s in all_specs().values()}
    assert list(json.loads(triton.generate("describe", model="pneumonia").json()["description"])) == ["pneumonia"]
    unknown = triton.generate("describe", model="DOE^JOHN")
    assert unknown.status == 400
    assert b"[unknown_model]" in unknown.body
    assert b"DOE" not in unknown.body


def test_a_raw_body_answers_for_every_real_film(triton: Live, sample_data: SampleData) -> None:
    films = sample_data.files("cxr")
    assert len(films) > 100
    for film in films:
        answer = triton.infer_raw("chest_xray", film.path.read_bytes())
        assert answer.status == 200, (film.path.name, answer.body)
        outputs = _raw_outputs(answer)
        probabilities = outputs.as_numpy("probabilities")
        assert probabilities.shape == (1, 4)
        assert probabilities.sum() == pytest.approx(1, abs=1e-5)
        assert outputs.as_numpy("heatmap").shape == (1, 7, 7)


@pytest.mark.parametrize("model", IMAGE_MODELS)
def test_the_same_picture_as_bytes_base64_and_data_uri(triton: Live, model: str) -> None:
    content = picture(3)
    text = base64.b64encode(content).decode()
    raw = _raw_outputs(triton.infer_raw(model, content)).as_numpy("probabilities")[0]
    for sent in (text, f"data:image/png;base64,{text}"):
        answer = triton.generate(model, image=sent)
        assert answer.status == 200, answer.body
        assert answer.json()["probabilities"] == pytest.approx(raw.tolist(), abs=1e-6)


def test_generate_prints_a_report_in_readable_json(triton: Live) -> None:
    answer = triton.generate("solubility", smiles="CCO").json()
    report = json.loads(answer["report"])
    assert report["prediction"] == pytest.approx(answer["log_s"], abs=1e-6)
    assert report["unit"] == "log mol/L"
    assert report["provenance"]["weights"] == "trained"
    assert report["needs_review"] is False
    assert report["interval"] == pytest.approx(answer["interval"], abs=1e-6)
    assert report["interval"][0] < report["prediction"] < report["interval"][1]


@pytest.mark.parametrize("model", IMAGE_MODELS)
def test_the_report_agrees_with_the_arrays_and_names_the_artefact(
    triton: Live, tiny_repository: Path, model: str
) -> None:
    answer = triton.generate(model, image=base64.b64encode(picture(5)).decode()).json()
    report = json.loads(answer["report"])
    spec = all_specs()[model]
    assert list(report["probabilities"]) == list(spec.labels)
    assert list(report["probabilities"].values()) == pytest.approx(answer["probabilities"], abs=1e-7)
    assert report["prediction"] == spec.labels[int(np.argmax(answer["probabilities"]))]
    assert report["uncertainty"] == pytest.approx(answer["uncertainty"], abs=1e-7)
    assert report["disclaimer"] == spec.disclaimer
    file = tiny_repository / spec.net / "1" / report["provenance"]["artefact"]
    assert report["provenance"]["artefact_sha256"] == hashlib.sha256(file.read_bytes()).hexdigest()


def test_an_unknown_element_is_answered_and_sent_to_a_person(triton: Live) -> None:
    for smiles, expected in (("CCO", False), ("[Pt](Cl)(Cl)(N)N", True)):
        report = json.loads(triton.generate("solubility", smiles=smiles).json()["report"])
        assert any(reason.startswith("unknown_atoms") for reason in report["review_reasons"]) is expected


def test_the_classification_extension_speaks_labels(triton: Live) -> None:
    client = grpc.InferenceServerClient(f"127.0.0.1:{triton.grpc}")
    value = np.array([[picture(1)]], np.object_)
    image = grpc.InferInput("image", value.shape, "BYTES")
    image.set_data_from_numpy(value)
    result = client.infer("chest_xray", [image], outputs=[grpc.InferRequestedOutput("probabilities", class_count=4)])
    labels = {entry.decode().split(":")[2] for entry in result.as_numpy("probabilities").ravel()}
    assert labels == set(all_specs()["chest_xray"].labels)


def test_a_batch_answers_item_by_item(triton: Live) -> None:
    contents = [picture(seed) for seed in range(5)]
    client = grpc.InferenceServerClient(f"127.0.0.1:{triton.grpc}")
    value = np.array([[content] for content in contents], np.object_)
    image = grpc.InferInput("image", value.shape, "BYTES")
    image.set_data_from_numpy(value)
    together = client.infer("pneumonia", [image])
    for item, content in enumerate(contents):
        alone = _raw_outputs(triton.infer_raw("pneumonia", content)).as_numpy("probabilities")[0]
        assert together.as_numpy("probabilities")[item] == pytest.approx(alone, abs=2e-2)  # bf16 by batch size
        assert json.loads(together.as_numpy("report")[item, 0])["model"] == "pneumonia"
