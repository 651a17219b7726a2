"""What the OpenAPI document says besides what the signatures do: bodies, problems, examples, keys, shapes of drift."""

from __future__ import annotations

from typing import Any

import msgspec
from fastapi import FastAPI
from fastapi.routing import APIRoute

from gateway import examples
from gateway.drift.state import State
from gateway.problems import MEDIA_TYPE, problem_body
from gateway.refusals import known
from gateway.schemas import Feedback, Problem

Responses = dict[int | str, dict[str, Any]]
JSON, TEXT = "application/json", "text/plain"
_FORM = "multipart/form-data"
_FILE, _TEXT = {"type": "string", "format": "binary"}, {"type": "string"}
_OTHERS: dict[str, dict[str, Any]] = {
    "application/x-www-form-urlencoded": {"schema": {"type": "object", "additionalProperties": _TEXT}},
    "application/octet-stream": {"schema": _FILE},
}
_RECORDED = {
    "X-Prediction-Id": {
        "description": "What it is recorded under; not of requests that were not read.",
        "schema": _TEXT,
    }
}
_OF_ACCESS = {
    400: "malformed",
    401: "no_key",
    403: "not_this_model",
    408: "too_slow",
    413: "too_large",
    429: "rate_limited",
}
_KEYS = {
    "key": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
    "bearer": {"type": "http", "scheme": "bearer", "description": "The same key, or an OpenID Connect token."},
}
_REFERENCE = "#/components/schemas/Drift{name}"


def responses(example: Any, media: str = JSON, *, recorded: bool = False, **schema: Any) -> Responses:
    """An answer, shown, and every problem that a route may answer in its place.

    Args:
        example: of the body; None: there is no body.
        media: its type.
        recorded: whether answers and problems have an id in the audit log.
        schema: of the body, where no `response_model` says it.
    """
    found = _problems()
    if example is not None:
        found[200] = {"content": {media: {"example": example, **schema}}}
    return {status: told | {"headers": _RECORDED} for status, told in found.items()} if recorded else found


def _problems() -> Responses:
    schema = Problem.model_json_schema()
    return {
        status: {
            "description": f"a problem, such as {code}",
            "content": {MEDIA_TYPE: {"schema": schema, "example": problem_body(status, code, "expected …, got …")}},
        }
        for status, code in sorted({**_OF_ACCESS, **known()}.items())
    }


def item_body() -> dict[str, Any]:
    """The body of one item: a form, JSON, or the file itself."""
    texts = {"type": "object", "additionalProperties": _TEXT}
    form = {"type": "object", "properties": {"file": _FILE}, "additionalProperties": _FILE}
    return _body({_FORM: {"schema": form}, JSON: {"schema": texts, "example": examples.SMILES}, **_OTHERS})


def molecules_body() -> dict[str, Any]:
    """The same where a list is taken too; a molecule may stand in the query as well."""
    texts = {"type": "object", "additionalProperties": {"anyOf": [_TEXT, {"type": "array", "items": _TEXT}]}}
    found = _body({JSON: {"schema": texts, "example": examples.SMILES}, **_OTHERS})
    smiles = {"name": "smiles", "in": "query", "required": False, "schema": _TEXT, "example": examples.SMILES["smiles"]}
    return {**found, "parameters": [smiles]}


def items_body() -> dict[str, Any]:
    """The body of several items."""
    one = {"anyOf": [_TEXT, {"type": "object", "additionalProperties": _TEXT}]}
    texts = {"type": "object", "properties": {"items": {"type": "array", "items": one}}, "required": ["items"]}
    form = {"type": "object", "properties": {"file": {"type": "array", "items": _FILE}}, "required": ["file"]}
    return _body({_FORM: {"schema": form}, JSON: {"schema": texts, "example": examples.ITEMS}})


def file_body() -> dict[str, Any]:
    """A form with one file."""
    form = {"type": "object", "properties": {"file": _FILE}, "required": ["file"]}
    return _body({_FORM: {"schema": form}})


def feedback_body() -> dict[str, Any]:
    """A label."""
    content = {JSON: {"schema": Feedback.model_json_schema(), "example": examples.FEEDBACK}}
    return {"requestBody": {"content": content, "required": True}}


def _body(content: dict[str, dict[str, Any]]) -> dict[str, Any]:
    return {"requestBody": {"content": content, "required": False}}


def drift_schema() -> dict[str, Any]:
    """Of GET /drift, by reference."""
    (schema,), _ = msgspec.json.schema_components((State,), ref_template=_REFERENCE)
    return schema


def operation_id(route: APIRoute) -> str:
    """A name that generated clients can call a function by."""
    return route.name


def complete(app: FastAPI) -> None:
    """Add to the application's document what no route can say for itself."""
    of_routes = app.openapi

    def whole() -> dict[str, Any]:
        fresh, found = app.openapi_schema is None, of_routes()
        if fresh:
            _, shapes = msgspec.json.schema_components((State,), ref_template=_REFERENCE)
            found["components"]["schemas"] |= {f"Drift{name}": shape for name, shape in shapes.items()}
            found["components"]["securitySchemes"] = _KEYS
            found["security"] = [{}, *({name: []} for name in _KEYS)]  # none where the gateway has no keys
        return found

    app.openapi = whole  # type: ignore[method-assign]
