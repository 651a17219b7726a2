"""GET /health, /model-info, /metrics, /drift, and POST /feedback: of the server and of its answers."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Path, Request
from fastapi.responses import JSONResponse, PlainTextResponse, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from pydantic import ValidationError

from gateway import examples
from gateway.access import Caller
from gateway.audit import Entry
from gateway.catalogue import told
from gateway.documentation import JSON, TEXT, drift_schema, feedback_body, responses
from gateway.json_values import decoded
from gateway.refusals import Refused
from gateway.schemas import Feedback, Health, ModelInfo
from gateway.services import Services
from medserve import MedServeError

HEALTH_S = 5.0
router = APIRouter()
Id = Annotated[str, Path(pattern="^[0-9a-f]{32}$", description="`prediction_id` of an answer", examples=[examples.ID])]
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


@router.post(
    "/feedback/{prediction_id}",
    status_code=204,
    responses=responses(None),
    openapi_extra=feedback_body(),
    tags=["quality"],
)
async def feedback(request: Request, prediction_id: Id) -> Response:
    """What somebody who knows says of an answer: feeds sensitivity and specificity, and is recorded."""
    told_label = await _told(request)
    services, caller = Services.of(request), request.state.caller
    entry = await services.audit.find(prediction_id)
    if entry is None or entry.kind != "answer" or not caller.may(entry.model):
        raise Refused(404, "unknown_prediction", "expected the prediction_id of an answer, got another")
    described = await services.catalogue.find(entry.model)
    if told_label.label not in described.labels:
        raise Refused(422, "unknown_label", f"expected one of {', '.join(described.labels) or 'no label'}, got another")
    await services.audit.record(_feedback(entry, caller.id, told_label.label))
    if not entry.route and entry.outcome in described.labels:  # not a canary's, nor one of a model that was exchanged
        services.monitor.told(entry.model, prediction_id, entry.outcome, told_label.label, described.labels)
    return Response(status_code=204)


async def _told(request: Request) -> Feedback:
    """Not by the framework, which would parse any number of values before it looked at one."""
    try:
        return Feedback.model_validate(decoded(await request.body()))
    except ValidationError as exc:
        raise Refused(422, "invalid_request", "expected an object with a label and nothing else, got another") from exc


def _feedback(entry: Entry, key: str, label: str) -> Entry:
    return Entry(
        prediction_id=entry.prediction_id,
        kind="feedback",
        time=datetime.now(UTC),
        key=key,
        model=entry.model,
        version=entry.version,
        artefact=entry.artefact,
        artefact_sha256=entry.artefact_sha256,
        preprocessing=entry.preprocessing,
        outcome=label,
        latency_s=0.0,
        input_sha256=(),
        route=entry.route,
    )
