"""POST /predict/…: one item, several, and the source projects' own routes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Request
from fastapi.responses import JSONResponse

from gateway import examples
from gateway.access import Caller
from gateway.audit import AuditError
from gateway.documentation import file_body, item_body, items_body, molecules_body, responses
from gateway.predicting.answers import Explain, Heatmap
from gateway.predicting.inputs import Given, many_items
from gateway.predicting.predictor import Answered, Wanted, new_id
from gateway.predicting.source import OF_TEXT, SHAPES, VISION, source_fields, vision
from gateway.refusals import Refused, refusal
from gateway.schemas import Answer, Results, Vision
from gateway.services import Services
from medserve import Description, MedServeError

AT_ONCE = 16  # items of one batch under way
ID_HEADER = "X-Prediction-Id"
router = APIRouter(tags=["predict"])
Model = Annotated[
    str, Path(description="the model's name, see GET /model-info", examples=[examples.MODEL], max_length=100)
]


def _wanted(heatmap: Heatmap = Heatmap.none, explain: Explain = Explain.none) -> Wanted:
    return Wanted(heatmap, explain)


Asked = Annotated[Wanted, Depends(_wanted)]


async def predict(request: Request, model: Model, wanted: Asked) -> JSONResponse:
    """One item: a file in a form, the file itself, or JSON. A model's aliases work too."""
    return await _predicted(request, model, wanted)


def _as_source(name: str) -> Callable[..., Coroutine[Any, Any, JSONResponse]]:
    async def route(request: Request, wanted: Asked) -> JSONResponse:
        """As the source project's front end asks: its fields besides ours. JSON may hold a list."""
        return await _predicted(request, name, wanted)

    return route


for _name in SHAPES:  # before the route that takes any model
    router.post(
        f"/predict/{_name}",
        response_model=Answer | Results,
        responses=responses(examples.OF_SOURCE[_name], recorded=True),
        openapi_extra=molecules_body() if _name in OF_TEXT else item_body(),
        operation_id=f"predict_{_name.replace('-', '_')}",
    )(_as_source(_name))
router.post(
    "/predict/{model}",
    response_model=Answer,
    responses=responses(examples.ANSWER, recorded=True),
    openapi_extra=item_body(),
)(predict)


async def _predicted(request: Request, model: str, wanted: Wanted) -> JSONResponse:
    described, items = await _read(request, model)
    if len(items) > 1 and model in SHAPES and "json" in request.headers.get("content-type", ""):
        return JSONResponse(await _results(request, described, model, items, wanted))
    found = await _one(request, described, items, wanted)
    return _answer(found, {**found.body, **source_fields(model, described, found.prediction, found.sent)})


@router.post(
    "/predict/{model}/batch",
    response_model=Results,
    responses=responses(examples.RESULTS, recorded=True),
    openapi_extra=items_body(),
)
async def predict_batch(request: Request, model: Model, wanted: Asked) -> JSONResponse:
    """Several items: each has an answer or a problem of its own."""
    described, items = await _read(request, model)
    return JSONResponse(await _results(request, described, model, items, wanted))


@router.post(
    "/api/vision/analyze",
    response_model=Vision,
    responses=responses(examples.VISION, recorded=True),
    openapi_extra=file_body(),
)
async def analyze(request: Request) -> JSONResponse:
    """As the source project's front end asks: a form with one `file`; three fields and no other."""
    described, items = await _read(request, VISION)
    found = await _one(request, described, items, Wanted())
    return _answer(found, vision(found.prediction))


async def _read(request: Request, model: str) -> tuple[Description, list[Given]]:
    """The model, if the caller may ask it, and what it is asked about. A refusal is recorded."""
    described: Description | None = None
    try:
        described = await Services.of(request).catalogue.find(model)
        if not _caller(request).may(described.name):
            raise Refused(403, "not_this_model", "expected a key for this model, got one for others")
        return described, await many_items(request, described)
    except (Refused, MedServeError) as why:
        await _refuse(request, described, why)
        raise


async def _one(request: Request, described: Description, items: list[Given], wanted: Wanted) -> Answered:
    """The only item's answer."""
    several = Refused(400, "one_item", f"expected one item, got {len(items)}. Send several to …/batch.")
    item = items[0] if len(items) == 1 else several
    if isinstance(item, Refused):
        await _refuse(request, described, item)
        raise item
    own = request.state.prediction_id = new_id()
    return await Services.of(request).predictor.predict(described, item, _caller(request).id, own, wanted)


async def _refuse(request: Request, described: Description | None, why: Exception) -> None:
    """Record it under an id that the caller is told."""
    own = request.state.prediction_id = new_id()
    await Services.of(request).predictor.refuse(described.name if described else "", _caller(request).id, own, why)


async def _results(
    request: Request, described: Description, route: str, items: list[Given], wanted: Wanted
) -> dict[str, Any]:
    services, caller = Services.of(request), _caller(request)
    if (why := _too_many(request, len(items))) is not None:
        await _refuse(request, described, why)
        raise why
    turns = asyncio.Semaphore(min(AT_ONCE, caller.concurrency or AT_ONCE))

    async def answered(own: str, item: Given) -> Answered:
        if isinstance(item, Refused):
            await services.predictor.refuse(described.name, caller.id, own, item)
            raise item
        return await services.predictor.predict(described, item, caller.id, own, wanted)

    async def result(index: int, item: Given) -> dict[str, Any]:
        own = new_id()
        async with turns:
            try:
                found = await answered(own, item)
                fields = source_fields(route, described, found.prediction, found.sent)
            except Exception as exc:  # one item's failure is never the batch's
                why, recorded = refusal(exc), not isinstance(exc, AuditError)
                problem = {**why.body(), **({"prediction_id": own} if recorded else {})}
                return {"index": index, "status": why.status, "problem": problem}
            return {"index": index, "status": 200, "answer": {**found.body, **fields}}

    return {"results": await asyncio.gather(*(result(index, item) for index, item in enumerate(items)))}


def _too_many(request: Request, count: int) -> Refused | None:
    """Why so many items get no answer now; None: they do, and the caller's rate has been charged for each."""
    most = Services.of(request).settings.most_items
    if count > most:
        return Refused(413, "too_many_items", f"expected at most {most} items, got {count}")
    if (later := request.state.charge(count - 1)) is not None:
        return Refused(later.status, later.code, later.detail, retry_s=later.retry_s)
    return None


def _caller(request: Request) -> Caller:
    found: Caller = request.state.caller
    return found


def _answer(answered: Answered, body: dict[str, Any]) -> JSONResponse:
    return JSONResponse(body, headers={ID_HEADER: answered.body["prediction_id"]})
