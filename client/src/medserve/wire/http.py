"""Calls as HTTP requests. Source: KServe Predict Protocol 2 with Triton's binary data extension."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from medserve.calls import Arrays, Ask, Call, checked, decoded, queue_us, yes
from medserve.errors import BrokenAnswer, MedServeError, of_status

HEADER_LENGTH = "Inference-Header-Content-Length"  # bytes of JSON before the tensors


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


def request(call: Call, timeout_s: float) -> Request:
    """`timeout_s` tells queues when nobody will wait any more."""
    if isinstance(call, Ask):
        path = {
            "live": "/v2/health/live",
            "ready": "/v2/health/ready",
            "model_ready": f"/v2/models/{quote(call.model, safe='')}/ready",
        }[call.question]
        return Request("GET", path, {}, b"")
    described = {
        "id": call.id,
        "inputs": [
            {
                "name": tensor.name,
                "shape": tensor.shape,
                "datatype": tensor.datatype,
                "parameters": {"binary_data_size": len(tensor.raw)},
            }
            for tensor in call.inputs
        ],
        "outputs": [{"name": name, "parameters": {"binary_data": True}} for name in call.outputs],
        "parameters": {"timeout": queue_us(timeout_s)},
    }
    head = json.dumps(described, separators=(",", ":")).encode()
    headers = {"Content-Type": "application/octet-stream", "Accept-Encoding": "identity", HEADER_LENGTH: str(len(head))}
    body = b"".join([head, *(tensor.raw for tensor in call.inputs)])
    return Request("POST", f"/v2/models/{quote(call.model, safe='')}/infer", headers, body)


def answer(call: Call, status: int, headers: Mapping[str, str], body: bytes) -> Arrays:
    """What came back.

    Args:
        call: that was answered.
        status: HTTP's.
        headers: names in any case.
        body: whole.

    Raises:
        MedServeError: the status is an error's, or the answer is not what was asked for.
    """
    if isinstance(call, Ask) and status in (200, 400, 404):  # Triton: 400 is "not ready", 404 of a model too
        return yes(status == 200)
    if status != 200:
        raise of_status(str(status), _sentence(body), call.where)
    if isinstance(call, Ask):
        return yes(True)
    try:
        return checked(call, *_outputs(headers, body))
    except (ValueError, KeyError, TypeError, IndexError) as exc:
        if isinstance(exc, MedServeError):
            raise
        raise BrokenAnswer(
            f"{call.where}: expected the KServe protocol, got {type(exc).__name__}: {exc}. Is it Triton's HTTP port?"
        ) from exc


def _outputs(headers: Mapping[str, str], body: bytes) -> tuple[str, Arrays]:
    """The request's id, and the outputs."""
    lengths = [int(value) for name, value in headers.items() if name.lower() == HEADER_LENGTH.lower()]
    place = lengths[0] if lengths else len(body)
    head, found = json.loads(body[:place]), {}
    for output in head["outputs"]:
        size = int(output["parameters"]["binary_data_size"])
        raw = memoryview(body)[place : place + size]
        found[output["name"]] = decoded(output["name"], output["datatype"], tuple(output["shape"]), raw)
        place += size
    return str(head.get("id", "")), found


def _sentence(body: bytes) -> str:
    """Triton's is {"error": …}; a proxy's may be anything."""
    try:
        told: Any = json.loads(body)
        return str(told["error"])
    except (ValueError, KeyError, TypeError):
        return body[:200].decode("utf-8", "replace").strip()
