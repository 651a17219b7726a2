"""The OpenAPI document: an example for everything, which fits its schema and looks like what is really answered."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import jsonschema
import pytest

from gateway import examples
from tests.support.checkout import ROOT
from tests.support.gateway_process import Running

FILM = (ROOT / "examples" / "phantom.png").read_bytes()
NO_BODY = {204}


@pytest.fixture(scope="module")
def document(shared_gateway: Running) -> dict[str, Any]:
    return httpx.get(f"{shared_gateway.url}/openapi.json", timeout=120).json()


def _operations(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield f"{method} {path}", operation


def _shown(document: dict[str, Any], content: dict[str, Any]) -> Any:
    """An example of this content, held to its schema."""
    schema = content.get("schema", {}) | {"components": document["components"]}
    named = document["components"]["schemas"].get(schema.get("$ref", "").rsplit("/", 1)[-1], {})
    example = content["example"] if "example" in content else named["example"]
    jsonschema.validate(example, schema, cls=jsonschema.Draft202012Validator)
    return example


def test_everything_has_an_example_that_fits(document: dict[str, Any]) -> None:
    count = 0
    for name, operation in _operations(document):
        for status, answer in operation["responses"].items():
            assert ("content" in answer) is (int(status) not in NO_BODY), (name, status)
            for media, content in answer.get("content", {}).items():
                shown = _shown(document, content)
                count += 1
                if media == "application/problem+json":
                    assert shown["status"] == int(status), name
        for parameter in operation.get("parameters", []):
            if parameter["in"] == "path":
                assert parameter["schema"]["examples"], name
        for media, content in operation.get("requestBody", {"content": {}})["content"].items():
            if media == "application/json":
                _shown(document, content)
                count += 1
    assert count > 11 * 12


def test_a_wrong_example_would_be_found(document: dict[str, Any]) -> None:
    content = document["paths"]["/health"]["get"]["responses"]["200"]["content"]["application/json"]
    with pytest.raises(jsonschema.ValidationError):
        _shown(document, content | {"example": {"live": "yes"}})


def test_generated_clients_get_names_they_can_use(document: dict[str, Any]) -> None:
    names = [operation["operationId"] for _, operation in _operations(document)]
    assert len(set(names)) == len(names)
    assert all(name.isidentifier() for name in names)
    assert set(document["components"]["securitySchemes"]) == {"key", "bearer"}


def _same_shape(shown: Any, real: Any, where: str) -> None:
    """The same members all the way down; of tables by model, file, label or figure only one is looked into."""
    if isinstance(shown, dict) and isinstance(real, dict):
        by_name = not set(shown) <= set(real)
        if by_name:
            shown, real = ({"…": next(iter(each.values()))} for each in (shown, real) if each)
        for name, value in shown.items():
            _same_shape(value, real[name], f"{where}.{name}")
    elif isinstance(shown, list) and isinstance(real, list):
        for one, other in zip(shown[:1], real[:1], strict=False):
            _same_shape(one, other, f"{where}[]")
    else:
        numbers = isinstance(shown, (int, float)) and isinstance(real, (int, float))
        assert numbers or None in (shown, real) or type(shown) is type(real), (where, shown, real)


def test_examples_are_like_what_is_answered(shared_gateway: Running, document: dict[str, Any]) -> None:
    film = {"files": {"file": ("x.png", FILM)}}
    with shared_gateway.client() as client:
        calls = {
            f"/predict/{examples.MODEL}": (examples.ANSWER, {"json": examples.SMILES}),
            f"/predict/{examples.MODEL}/batch": (examples.RESULTS, {"json": examples.ITEMS}),
            "/predict/drug-properties": (examples.OF_SOURCE["drug-properties"], {"json": examples.SMILES}),
            "/predict/chest-xray": (examples.OF_SOURCE["chest-xray"], film),
            "/predict/skin-lesion": (examples.OF_SOURCE["skin-lesion"], film),
            "/api/vision/analyze": (examples.VISION, film),
        }
        for path, (shown, sent) in calls.items():
            _like(client.post(path, **sent), shown, path)
        told = client.post("/predict/chest-xray", **film).json()
        assert client.post(f"/feedback/{told['prediction_id']}", json=examples.FEEDBACK).status_code == 204
        _like(client.get("/health"), examples.HEALTH, "/health")
        _like(client.get("/model-info"), examples.MODEL_INFO, "/model-info")
        _like(client.get("/drift"), examples.DRIFT, "/drift")
        assert examples.METRICS.split("{")[0] in client.get("/metrics").text
        problem = client.post("/predict/solubility", json={"smiles": "C1CC"})
    shown = examples.RESULTS["results"][1]["problem"]
    assert problem.json() | {"detail": ""} == shown | {"detail": ""}


def _like(answer: httpx.Response, shown: dict[str, Any], path: str) -> None:
    assert answer.status_code == 200, (path, answer.text)
    real = answer.json()
    assert set(shown) == set(real), path
    _same_shape(shown, real, path)
