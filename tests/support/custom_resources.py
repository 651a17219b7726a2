"""Objects that Kubernetes does not know itself, held to the models that their makers publish."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator
from functools import cache
from importlib import import_module
from typing import Any

import pytest

from tests.support.chart import in_wheel

_PYDANTIC = {
    "ScaledObject": "cloudcoil.models.keda.v1alpha1",
    "ServiceMonitor": "cloudcoil.models.prometheus_operator.v1",
    "PrometheusRule": "cloudcoil.models.prometheus_operator.v1",
}
_KSERVE = {
    ("ServingRuntime", "serving.kserve.io/v1alpha1"): "V1alpha1ServingRuntime",
    ("InferenceService", "serving.kserve.io/v1beta1"): "V1beta1InferenceService",
}
KINDS = {*_PYDANTIC, *(kind for kind, _ in _KSERVE)}


def faults(document: dict) -> list[str]:
    """What is wrong with one of KINDS."""
    if document["kind"] in _PYDANTIC:
        return _of_pydantic(document)
    name = _KSERVE.get((document["kind"], document["apiVersion"]))
    return (
        list(_of_kserve(document, name, document["kind"])) if name else [f"no such version: {document['apiVersion']}"]
    )


def _of_pydantic(document: dict) -> list[str]:
    """These models pass what they do not know: what is missing after the round trip is a fault too."""
    pytest.importorskip("cloudcoil.models.keda", reason="needs cloudcoil's models of KEDA and Prometheus' operator")
    from pydantic import ValidationError

    model = getattr(import_module(_PYDANTIC[document["kind"]]), document["kind"])
    try:
        known = model.model_validate(document).model_dump(mode="json", by_alias=True, exclude_unset=True)
    except ValidationError as exc:
        return [f"{'.'.join(map(str, error['loc']))}: {error['msg']}" for error in exc.errors()]
    return list(_lost(document, known, document["kind"]))


def _lost(sent: Any, known: Any, where: str) -> Iterator[str]:
    if isinstance(sent, dict) and isinstance(known, dict):
        for key, value in sent.items():
            if key in known:
                yield from _lost(value, known[key], f"{where}.{key}")
            else:
                yield f"{where}.{key}: unknown"
    elif isinstance(sent, list) and isinstance(known, list) and len(sent) == len(known):
        for index, (one, other) in enumerate(zip(sent, known, strict=True)):
            yield from _lost(one, other, f"{where}[{index}]")
    elif sent != known:
        yield f"{where}: {sent!r} was read as {known!r}"


@cache
def _tables(name: str) -> tuple[dict[str, str], dict[str, str]] | None:
    """(type by attribute, key by attribute) of a class of KServe's SDK, which is read and not imported: its needs are
    many, and its classes check little. None: a type of Kubernetes' own, which `tools.pods` leads to its schemas."""
    if (package := in_wheel("kserve")) is None:
        pytest.skip("needs kserve's SDK for the names of its fields")
    file = package / "models" / f"{re.sub(r'(?<=[a-z0-9])(?=[A-Z])', '_', name).lower()}.py"
    if not file.is_file():
        assert re.match(r"V\d[A-Z]", name), f"{name}: no such file: {file.name}"
        return None
    found: dict[str, dict[str, str]] = {}
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and isinstance(node.value, ast.Dict):
            found[node.targets[0].id] = ast.literal_eval(node.value)
    return found["openapi_types"], found["attribute_map"]


_PLAIN: dict[str, Callable[[Any], bool]] = {
    "str": lambda value: isinstance(value, str),
    "int": lambda value: isinstance(value, int) and not isinstance(value, bool),
    "bool": lambda value: isinstance(value, bool),
    "dict(str, str)": lambda value: isinstance(value, dict) and all(isinstance(one, str) for one in value.values()),
}


def _of_kserve(value: Any, kind: str, where: str) -> Iterator[str]:
    if kind in _PLAIN:
        if not _PLAIN[kind](value):
            yield f"{where}: expected {kind}, got {value!r}"
    elif kind.startswith("list["):
        if not isinstance(value, list):
            yield f"{where}: expected {kind}, got {value!r}"
            return
        for index, one in enumerate(value):
            yield from _of_kserve(one, kind[5:-1], f"{where}[{index}]")
    elif tables := _tables(kind):
        if not isinstance(value, dict):
            yield f"{where}: expected {kind}, got {value!r}"
            return
        types, keys = tables
        by_key = {key: types[attribute] for attribute, key in keys.items()}
        for key, one in value.items():
            if key in by_key:
                yield from _of_kserve(one, by_key[key], f"{where}.{key}")
            else:
                yield f"{where}.{key}: unknown"
