"""POST /feedback, and what was said before this process began: labels of those who know, recorded and counted."""

from __future__ import annotations

import contextlib
import logging
from dataclasses import replace
from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Path, Request
from fastapi.responses import Response
from pydantic import ValidationError

from gateway import examples
from gateway.audit import AuditError, AuditLog, Entry
from gateway.catalogue import Catalogue, artefacts
from gateway.documentation import feedback_body, responses
from gateway.drift import Case, Monitor
from gateway.json_values import decoded
from gateway.refusals import Refused
from gateway.schemas import Feedback
from gateway.services import Services
from medserve import MedServeError

MOST_REMEMBERED = 5000  # labels, of all models; Monitor keeps the last of each
router = APIRouter()
Id = Annotated[str, Path(pattern="^[0-9a-f]{32}$", description="`prediction_id` of an answer", examples=[examples.ID])]
_log = logging.getLogger(__name__)


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
    current = artefacts(described)
    exchanged = entry.outcome not in described.labels or (current and entry.artefact_sha256 not in current)
    if _counts(entry) and not exchanged:
        services.monitor.told(entry.model, _case(entry, told_label.label), described.labels)
    return Response(status_code=204)


async def remember(audit: AuditLog, monitor: Monitor, catalogue: Catalogue) -> None:
    """Count what was said before this process began. Without it the gateway serves all the same, and says so."""
    try:
        labelled = await audit.labelled(MOST_REMEMBERED)
    except AuditError as why:
        _log.warning("feedback: what was said before this start is not counted: %s", why)
        return
    monitor.remember((one.model, _case(one, said)) for one, said in labelled if _counts(one))
    with contextlib.suppress(MedServeError):  # who asks next will tell the monitor which labels there are
        await catalogue.models()


def _counts(entry: Entry) -> bool:
    """Sensitivity is that of the version everybody asks, not of a canary or another that is tried beside it."""
    return not entry.route


def _case(answer: Entry, label: str) -> Case:
    return Case(id=answer.prediction_id, artefact=answer.artefact_sha256, prediction=answer.outcome, truth=label)


async def _told(request: Request) -> Feedback:
    """Not by the framework, which would parse any number of values before it looked at one."""
    try:
        return Feedback.model_validate(decoded(await request.body()))
    except ValidationError as exc:
        raise Refused(422, "invalid_request", "expected an object with a label and nothing else, got another") from exc


def _feedback(answer: Entry, key: str, label: str) -> Entry:
    now = datetime.now(UTC)
    return replace(answer, kind="feedback", time=now, key=key, outcome=label, latency_s=0.0, input_sha256=())
