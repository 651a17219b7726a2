"""POST /predict/…: one item, several, and the source projects' own routes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Request
from fastapi.responses import JSONResponse

from gateway import examples
from gateway.access import Caller
from gateway.documentation import file_body, item_body, items_body, responses
from gateway.predicting.answers import Explain, Heatmap
from gateway.predicting.inputs import Item, many_items, one_item
from gateway.predicting.predictor import Answered, Wanted
from gateway.predicting.source import SHAPES, VISION, source_fields, vision
from gateway.refusals import Refused, refusal
from gateway.schemas import Answer, Results, Vision
from gateway.services import Services
from medserve import Description

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
        responses=responses(examples.OF_SOURCE[_name]),
        openapi_extra=item_body(),
        operation_id=f"predict_{_name.replace('-', '_')}",
    )(_as_source(_name))
router.post("/predict/{model}", response_model=Answer, responses=responses(examples.ANSWER), openapi_extra=item_body())(
    predict
)


async def _predicted(request: Request, model: str, wanted: Wanted) -> JSONResponse:
    services = Services.of(request)
    described = await _permitted(request, model)
    items = await many_items(request, described)
    if len(items) > 1 and model in SHAPES and "json" in request.headers.get("content-type", ""):
        return JSONResponse(await _results(request, described, model, items, wanted))
    if len(items) != 1:
        raise Refused(400, "one_item", f"expected one item, got {len(items)}. Send several to …/batch.")
    answered = await services.predictor.predict(described, items[0], _caller(request).id, wanted)
    return _answer(answered, {**answered.body, **source_fields(model, described, answered.prediction, answered.sent)})


@router.post(
    "/predict/{model}/batch",
    response_model=Results,
    responses=responses(examples.RESULTS),
    openapi_extra=items_body(),
)
async def predict_batch(request: Request, model: Model, wanted: Asked) -> JSONResponse:
    """Several items: each has an answer or a problem of its own."""
    described = await _permitted(request, model)
    return JSONResponse(await _results(request, described, model, await many_items(request, described), wanted))


@router.post(
    "/api/vision/analyze", response_model=Vision, responses=responses(examples.VISION), openapi_extra=file_body()
)
async def analyze(request: Request) -> JSONResponse:
    """As the source project's front end asks: a form with one `file`; three fields and no other."""
    described = await _permitted(request, VISION)
    item = await one_item(request, described)
    answered = await Services.of(request).predictor.predict(described, item, _caller(request).id, Wanted())
    return _answer(answered, vision(answered.prediction))


async def _permitted(request: Request, model: str) -> Description:
    """The model, if the caller may ask it; who may not learns no more than that."""
    caller = _caller(request)
    described = await Services.of(request).catalogue.find(model)
    if not caller.may(described.name):
        raise Refused(403, "not_this_model", "expected a key for this model, got one for others")
    return described


def _caller(request: Request) -> Caller:
    found: Caller = request.state.caller
    return found


async def _results(
    request: Request, described: Description, route: str, items: list[Item], wanted: Wanted
) -> dict[str, Any]:
    services, key = Services.of(request), _caller(request).id
    if len(items) > services.settings.most_items:
        raise Refused(413, "too_many_items", f"expected at most {services.settings.most_items} items, got {len(items)}")
    turns = asyncio.Semaphore(AT_ONCE)

    async def result(index: int, item: Mapping[str, bytes]) -> dict[str, Any]:
        async with turns:
            try:
                answered = await services.predictor.predict(described, item, key, wanted)
            except Exception as exc:  # one item's failure is never the batch's
                why = refusal(exc)
                return {"index": index, "status": why.status, "problem": why.body()}
            fields = source_fields(route, described, answered.prediction, answered.sent)
            return {"index": index, "status": 200, "answer": {**answered.body, **fields}}

    return {"results": await asyncio.gather(*(result(index, item) for index, item in enumerate(items)))}


def _answer(answered: Answered, body: dict[str, Any]) -> JSONResponse:
    return JSONResponse(body, headers={ID_HEADER: answered.body["prediction_id"]})
