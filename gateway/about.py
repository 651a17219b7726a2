"""GET /health, /model-info, /metrics, /drift: of the server and of its answers."""

from __future__ import annotations

import contextlib
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, PlainTextResponse, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from gateway import examples
from gateway.access import Caller
from gateway.catalogue import told
from gateway.documentation import JSON, TEXT, drift_schema, responses
from gateway.schemas import Health, ModelInfo
from gateway.services import Services
from medserve import MedServeError

HEALTH_S = 5.0
router = APIRouter()
_NOT_READY = {"model": Health, "content": {JSON: {"example": examples.NOT_READY}}}
_HEALTH = {**responses(examples.HEALTH), 503: _NOT_READY}


@router.get("/health", response_model=Health, responses=_HEALTH, tags=["server"])
async def health(request: Request) -> JSONResponse:
    """200 where every model can be asked, else 503; the same body."""
    found = await Services.of(request).client.health(timeout_s=HEALTH_S)
    ready = found.ready and all(found.models.values())
    body = {"live": found.live, "ready": ready, "models": dict(found.models), "reason": found.reason}
    return JSONResponse(body, 200 if ready else 503)


router.add_api_route("/health", health, methods=["HEAD"], include_in_schema=False)  # some probes ask so


@router.get("/model-info", response_model=ModelInfo, responses=responses(examples.MODEL_INFO), tags=["server"])
async def model_info(request: Request) -> JSONResponse:
    """Labels, inputs, limits, digests, the gate's figures and whether the weights are trained, of each model."""
    models = await Services.of(request).catalogue.models()
    caller: Caller = request.state.caller
    return JSONResponse({"models": [told(described) for name, described in models.items() if caller.may(name)]})


@router.get("/metrics", response_class=PlainTextResponse, responses=responses(examples.METRICS, TEXT), tags=["server"])
async def metrics(request: Request) -> Response:
    """The gateway's own, for Prometheus; the server's are at its own port."""
    return Response(generate_latest(Services.of(request).registry), media_type=CONTENT_TYPE_LATEST)


@router.get("/drift", responses=responses(examples.DRIFT, schema=drift_schema()), tags=["quality"])
async def drift(request: Request) -> dict[str, Any]:
    """How the latest inputs and answers differ from those that the models were exported with."""
    services = Services.of(request)
    with contextlib.suppress(MedServeError):  # with the server away, what was seen before is still to be told
        await services.catalogue.models()
    caller: Caller = request.state.caller
    return services.monitor.state(caller.may)
