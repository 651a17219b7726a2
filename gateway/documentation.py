"""What the OpenAPI document says besides what the signatures do: bodies, problems, examples."""

from __future__ import annotations

from typing import Any

from gateway.problems import MEDIA_TYPE
from gateway.refusals import known
from gateway.schemas import Problem

_FILE = {"type": "string", "format": "binary"}
_EXAMPLE = {"smiles": "CCO"}
_OF_ACCESS = {
    400: "malformed",
    401: "no_key",
    403: "not_this_model",
    408: "too_slow",
    413: "too_large",
    429: "rate_limited",
}


def problems(*more: int) -> dict[int | str, dict[str, Any]]:
    """Every problem that a route may answer."""
    codes = {**_OF_ACCESS, **known(), **dict.fromkeys(more, "")}
    content = {MEDIA_TYPE: {"schema": Problem.model_json_schema()}}
    return {status: {"description": f"a problem, such as {code}" if code else "a problem", "content": content}
            for status, code in sorted(codes.items())}  # fmt: skip


def item_body() -> dict[str, Any]:
    """The body of one item."""
    texts = {"type": "object", "additionalProperties": {"type": "string"}, "example": _EXAMPLE}
    form = {"type": "object", "properties": {"file": _FILE}, "additionalProperties": _FILE}
    return _body({"multipart/form-data": form, "application/json": texts})


def items_body() -> dict[str, Any]:
    """The body of several items."""
    one = {"anyOf": [{"type": "string"}, {"type": "object", "additionalProperties": {"type": "string"}}]}
    texts = {
        "type": "object",
        "properties": {"items": {"type": "array", "items": one}},
        "required": ["items"],
        "example": {"items": ["CCO", "c1ccccc1"]},
    }
    form = {"type": "object", "properties": {"file": {"type": "array", "items": _FILE}}, "required": ["file"]}
    return _body({"multipart/form-data": form, "application/json": texts})


def file_body() -> dict[str, Any]:
    """A form with one file."""
    form = {"type": "object", "properties": {"file": _FILE}, "required": ["file"]}
    return _body({"multipart/form-data": form})


def _body(content: dict[str, dict[str, Any]]) -> dict[str, Any]:
    return {
        "requestBody": {"content": {kind: {"schema": schema} for kind, schema in content.items()}, "required": False}
    }
