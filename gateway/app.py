"""The application: what is made for it, its routes, and who may reach them."""

from __future__ import annotations

import asyncio
import contextlib
import sys
import time
from collections.abc import AsyncIterator, Callable, Mapping
from functools import partial

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from prometheus_client import CollectorRegistry
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp

from gateway import about, feedback, page
from gateway.access import AccessMiddleware, AccessSettings
from gateway.access.bodies import BodyRefused
from gateway.audit import AuditError, AuditLog, open_store
from gateway.catalogue import Catalogue
from gateway.clients import Clients
from gateway.documentation import complete, operation_id
from gateway.drift import Monitor
from gateway.failures import Contained
from gateway.metrics import Metrics
from gateway.predicting import routes
from gateway.predicting.predictor import Predictor
from gateway.predicting.routes import ID_HEADER
from gateway.refusals import Refused, refusal
from gateway.services import Services
from gateway.settings import Settings
from gateway.versions import read_routes
from gateway.watched import WatchedFile
from medserve import AsyncClient, MedServeError
from medserve.calls import AsyncTransport


def create_app(
    settings: Settings,
    access: AccessSettings,
    *,
    transports: Mapping[str, AsyncTransport] | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> ASGIApp:
    """The whole gateway.

    Args:
        settings: see Settings.
        access: who may.
        transports: by URL, in the place of connections to servers; see `medserve.testing`.
        clock: seconds that only grow.
    """
    registry = CollectorRegistry()
    app = FastAPI(
        title="MedServe",
        version="0.1.0",
        description="Medical models behind an NVIDIA Triton: research software, not a medical device.",
        docs_url=None,  # a page of its own, and FastAPI's is loaded from elsewhere
        redoc_url=None,
        redirect_slashes=False,  # to an address made of what the caller says that this host is called
        generate_unique_id_function=operation_id,
        lifespan=_lifespan(settings, registry, transports or {}, clock),
    )
    app.include_router(routes.router)
    app.include_router(about.router)
    app.include_router(feedback.router)
    page.mount(app)
    complete(app)
    for kind, handler in _HANDLERS.items():
        app.add_exception_handler(kind, handler)
    return AccessMiddleware(Contained(app, say), access, registry, say=say, clock=clock)


def _lifespan(
    settings: Settings,
    registry: CollectorRegistry,
    transports: Mapping[str, AsyncTransport],
    clock: Callable[[], float],
) -> Callable[[FastAPI], contextlib.AbstractAsyncContextManager[None]]:
    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        versions = (
            WatchedFile(settings.routes, read_routes, _versions_changed, clock=clock) if settings.routes else None
        )
        connect = partial(_connected, settings, transports)
        client = connect(settings.server)
        clients = Clients(client, connect, clock)
        monitor = Monitor(settings.window, registry)
        catalogue = Catalogue(client, monitor.refer, clock)
        audit = AuditLog(open_store(settings.audit, key=settings.audit_key))
        await audit.start()
        predictor = Predictor(
            clients,
            versions.value if versions else tuple,
            audit,
            monitor,
            Metrics(registry),
            patience_s=settings.timeout_s / 3,
        )
        app.state.services = Services(
            settings=settings,
            client=client,
            catalogue=catalogue,
            predictor=predictor,
            audit=audit,
            monitor=monitor,
            registry=registry,
        )
        remembering = asyncio.create_task(feedback.remember(audit, monitor, catalogue))
        try:
            yield
        finally:
            remembering.cancel()
            await predictor.close()
            await audit.close()
            await clients.close()

    return lifespan


def _connected(settings: Settings, transports: Mapping[str, AsyncTransport], url: str) -> AsyncClient:
    return AsyncClient(url, timeout_s=settings.timeout_s, tls=settings.tls(url), transport=transports.get(url))


async def _refused(request: Request, exc: Exception) -> Response:
    answer = refusal(exc).response()
    recorded = getattr(request.state, "prediction_id", "")
    if recorded and not isinstance(exc, AuditError):
        answer.headers[ID_HEADER] = recorded
    return answer


async def _invalid(_request: Request, exc: Exception) -> Response:
    """Where a parameter is wrong; what it held is not repeated."""
    errors = exc.errors() if isinstance(exc, RequestValidationError) else ()
    told = "; ".join(f"{'.'.join(map(str, one['loc'][:2]))}: {one['type']}" for one in errors)
    detail = f"expected what the OpenAPI document says, got other values: {told}"
    return Refused(422, "invalid_request", detail).response()


async def _http(_request: Request, exc: Exception) -> Response:
    status = exc.status_code if isinstance(exc, HTTPException) else 500
    headers = exc.headers if isinstance(exc, HTTPException) else None
    code = {404: "not_found", 405: "method_not_allowed"}.get(status, "http_error")
    answer = Refused(status, code, "expected a route of the OpenAPI document, see /openapi.json").response()
    answer.headers.update(headers or {})
    return answer


async def _answered(_request: Request, _exc: Exception) -> Response:
    """The door has answered in the route's place, and lets this one go nowhere."""
    return Response(status_code=400)


_HANDLERS = {
    BodyRefused: _answered,
    Refused: _refused,
    MedServeError: _refused,
    AuditError: _refused,
    RequestValidationError: _invalid,
    HTTPException: _http,
    Exception: _refused,  # and then raised once more: see Contained
}


def _versions_changed(fault: str) -> None:
    say(fault or "GATEWAY_ROUTES: read again")


def say(sentence: str) -> None:
    print(f"gateway: {sentence}", file=sys.stderr, flush=True)
