"""Values that mean nothing are refused, wherever they stand."""

from __future__ import annotations

import copy
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.chart import CHART, VALUES, rendered

jsonschema = pytest.importorskip("jsonschema", reason="needs jsonschema, which comes with kubernetes-validate")

SCHEMA = json.loads((CHART / "values.schema.json").read_text("utf-8"))
DEFAULTS = yaml.safe_load((CHART / "values.yaml").read_text("utf-8"))
STRANGE: tuple[Any, ...] = (True, 7, 7.5, "text", ["text"], {"key": "text"})  # one of each type


def _merged(values: Any, over: Any) -> Any:
    """As helm does it."""
    if not isinstance(values, dict) or not isinstance(over, dict):
        return over
    merged = values | {key: _merged(values.get(key), value) for key, value in over.items()}
    return {key: value for key, value in merged.items() if value is not None}


def _all_values() -> dict[str, Any]:
    return {
        name: _merged(DEFAULTS, yaml.safe_load(file.read_text("utf-8")) if file else {})
        for name, file in VALUES.items()
    }


def _places(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """Paths of everything in it, itself first."""
    yield path
    entries = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, one in entries:
        yield from _places(one, (*path, key))


def _at(value: Any, path: tuple[str | int, ...]) -> Any:
    for key in path:
        value = value[key]
    return value


def _refused(values: dict[str, Any]) -> bool:
    return not jsonschema.Draft7Validator(SCHEMA).is_valid(values)


@pytest.mark.parametrize("name", VALUES)
def test_what_is_shipped_is_well_formed(name: str) -> None:
    jsonschema.Draft7Validator.check_schema(SCHEMA)
    jsonschema.validate(_all_values()[name], SCHEMA, jsonschema.Draft7Validator)


@pytest.mark.parametrize("name", VALUES)
def test_a_key_that_nobody_knows_is_refused_in_every_object(name: str) -> None:
    """In those whose keys are the user's own (labels, classes) it would be one of them, if its value were right."""
    values = _all_values()[name]
    objects = [path for path in _places(values) if isinstance(_at(values, path), dict)]
    assert len(objects) > 20
    for path in objects:
        harmed = copy.deepcopy(values)
        _at(harmed, path)["unknown"] = 7
        assert _refused(harmed), path


@pytest.mark.parametrize("name", VALUES)
def test_a_value_of_another_type_is_refused_at_every_place(name: str) -> None:
    values = _all_values()[name]
    for path in filter(None, _places(values)):
        was = _at(values, path)
        for strange in STRANGE:
            if type(strange) is not type(was):
                harmed = copy.deepcopy(values)
                _at(harmed, path[:-1])[path[-1]] = strange
                assert _refused(harmed), (path, strange)


def _objects(schema: Any, where: str = "#") -> Iterator[tuple[str, dict]]:
    if isinstance(schema, dict):
        if schema.get("type") == "object" or "properties" in schema:
            yield where, schema
        for key, one in schema.items():
            yield from _objects(one, f"{where}/{key}")
    elif isinstance(schema, list):
        for index, one in enumerate(schema):
            yield from _objects(one, f"{where}/{index}")


def test_no_object_of_the_schema_is_open() -> None:
    """Those too that no shipped values use."""
    found = dict(_objects(SCHEMA))
    assert len(found) > 25
    for where, schema in found.items():
        rest = schema.get("additionalProperties")
        assert rest is False or (isinstance(rest, dict) and ("type" in rest or "$ref" in rest)), where


def test_every_value_is_described_and_every_description_is_used() -> None:
    assert SCHEMA["properties"].keys() == DEFAULTS.keys()


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        ({"replicas": 3}, "replicas"),
        ({"classes": {"cpu": {"replica": 3}}}, "replica"),
        ({"classes": {"cpu": {"replicas": "many"}}}, "replicas"),
        ({"classes": {"cpu": {"gpu": {"resource": "nvidia.com/gpu", "count": 1, "plan": {}}}}}, "plan"),
        ({"classes": {"proxy": DEFAULTS["classes"]["cpu"]}}, "proxy"),
        ({"images": {"cpu": {"tag": "latest"}}}, "tag"),
        ({"images": {"cpu": {"tag": None}}}, "tag"),
        ({"repository": {"uri": "http://somewhere"}}, "uri"),
        ({"repository": {"uri": "oci://somewhere/models:v1"}}, "uri"),
        ({"drain": {"exitSeconds": 60}}, "exitSeconds"),
        ({"drain": {"delaySeconds": 4}}, "delaySeconds"),
        ({"networkPolicy": {"callers": [{}]}}, "callers"),
        ({"networkPolicy": {"callers": [{"podSelectors": {}}]}}, "podSelectors"),
        ({"classes": {"gateway": DEFAULTS["classes"]["cpu"]}}, "gateway"),
        ({"gateway": {"environment": {"GATEWAY_KEYS": "ward:0"}}}, "GATEWAY_KEYS"),
        ({"gateway": {"environment": {"AUDIT_KEY": "0"}}}, "AUDIT_KEY"),
        ({"global": {"anything": 1}}, "global"),
    ],
)
def test_helm_refuses_what_the_schema_refuses(harm: dict, said: str, tmp_path: Path) -> None:
    assert said in _refusal(harm, tmp_path)


def _gateway(**harm: object) -> dict[str, object]:
    sound = yaml.safe_load(VALUES["gateway"].read_text("utf-8"))["gateway"]
    return {"gateway": _merged(sound, harm)}


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        ({"classes": {"cpu": {"weight": 0}}}, "classes: expected one with a weight above 0"),
        ({"repository": {"claim": ""}}, "classes.cpu: expected a repository.claim or a repository.uri"),
        ({"autoscaling": {"enabled": True}}, "expected monitoring.enabled too"),
        (
            {"autoscaling": {"enabled": True}, "monitoring": {"enabled": True}, "kserve": {"enabled": True}},
            "expected false under KServe",
        ),
        (
            {"kserve": {"enabled": True}, "repository": {"uri": f"oci://somewhere/models@sha256:{'0' * 64}"}},
            "which means an image to KServe",
        ),
        (
            {
                "kserve": {"enabled": True},
                "classes": {"cpu": {"gpu": {"resource": "nvidia.com/gpu", "count": 1, "plans": {"claim": "plans"}}}},
            },
            "expected none under KServe",
        ),
        (_gateway(keys={"secret": ""}), "expected keys.secret, or GATEWAY_OIDC_ISSUER in its environment"),
        (_gateway(audit={"claim": ""}), "expected a secret with AUDIT_URL and AUDIT_KEY, or a claim"),
        (_gateway(replicas=2), "gateway.replicas: expected 1"),
        (_gateway(serverCa={"secret": "ca"}), "expected proxy.tls.secret beside it"),
        (_gateway() | {"monitoring": {"enabled": True}}, "nobody would hear of drift"),
        (_gateway() | {"kserve": {"enabled": True}}, "gateway.enabled: expected proxy.enabled without KServe"),
        (_gateway() | {"proxy": {"enabled": False}}, "gateway.enabled: expected proxy.enabled without KServe"),
    ],
)
def test_values_that_contradict_each_other_are_refused_with_a_sentence(harm: dict, said: str, tmp_path: Path) -> None:
    assert said in _refusal(harm, tmp_path)


def _refusal(values: dict, folder: Path) -> str:
    file = folder / "values.yaml"
    file.write_text(yaml.safe_dump(values), "utf-8")
    with pytest.raises(subprocess.CalledProcessError) as caught:
        rendered(file)
    return caught.value.stderr
