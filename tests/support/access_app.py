"""A small application behind the door, on a real server, and a walk over every route that it documents."""

from __future__ import annotations

import asyncio
import hashlib
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from prometheus_client import CollectorRegistry, generate_latest
from pydantic import BaseModel
from starlette.types import ASGIApp

from gateway import page
from gateway.access import AccessMiddleware, AccessSettings
from gateway.access.keys import Key
from tests.support.clock import until

METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")
SECRET, OTHER = "medserve_the-right-key-of-this-test", "medserve_another-one"


def sha256(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def key(secret: str = SECRET, **fields: Any) -> Key:
    return Key(**({"id": "ward", "sha256": sha256(secret), "models": ("*",)} | fields))


class Label(BaseModel):
    label: str


@dataclass
class Door:
    """The application, and what it saw."""

    app: ASGIApp
    inner: FastAPI
    registry: CollectorRegistry
    said: list[str] = field(default_factory=list)

    def metric(self, name: str, **labels: str) -> float:
        return self.registry.get_sample_value(name, labels) or 0.0

    def metrics(self) -> str:
        return generate_latest(self.registry).decode()


def door(settings: AccessSettings, clock: Callable[[], float] = time.monotonic) -> Door:
    """The small application: a route that reads its body, one that waits, one with a model, the scoped ones, a page."""
    inner, registry, said = FastAPI(docs_url=None, redoc_url=None), CollectorRegistry(), []
    inner.state.most = inner.state.now = 0

    @inner.post("/predict/{model}")
    async def predict(request: Request, model: str) -> dict[str, Any]:
        if not request.state.caller.may(model):
            return JSONResponse({"code": "not_this_model"}, 403)
        return {"bytes": len(await request.body()), "caller": request.state.caller.id, "seen": str(request.headers)}

    @inner.post("/wait")
    async def wait() -> dict[str, int]:
        inner.state.now += 1
        inner.state.most = max(inner.state.most, inner.state.now)
        await asyncio.sleep(0.2)
        inner.state.now -= 1
        return {"most": inner.state.most}

    @inner.get("/model-info")
    async def model_info() -> dict[str, str]:
        return {"models": "all"}

    @inner.get("/metrics")
    async def metrics() -> dict[str, str]:
        return {}

    @inner.get("/drift")
    async def drift() -> dict[str, str]:
        return {}

    @inner.post("/feedback/{prediction_id}")
    async def feedback(prediction_id: str, told: Label) -> dict[str, str]:
        return {"label": told.label}

    @inner.get("/broken")
    async def broken() -> None:
        raise RuntimeError("planted")

    page.mount(inner)
    return Door(AccessMiddleware(inner, settings, registry, say=said.append, clock=clock), inner, registry, said)


@contextmanager
def serving(app: ASGIApp, **config: Any) -> Iterator[str]:
    """The application on a real uvicorn, in a thread; the URL."""
    chosen = {"port": 0, "log_level": "critical", "timeout_graceful_shutdown": 1, "loop": "uvloop"}
    server = uvicorn.Server(uvicorn.Config(app, **(chosen | config)))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        until(lambda: server.started or not thread.is_alive(), "a server that listens")
        port = server.servers[0].sockets[0].getsockname()[1]
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join()


def documented(document: dict[str, Any]) -> list[tuple[str, str]]:
    """(method, path) of every route of an OpenAPI document; parameters are filled."""
    found = []
    for path, item in document["paths"].items():
        for parameter in {part[1:-1] for part in path.split("/") if part.startswith("{")}:
            path = path.replace(f"{{{parameter}}}", "0" * 32)
        found += [(method.upper(), path) for method in item if method in METHODS]
    return found


def answered_without_a_key(client: httpx.Client, document: dict[str, Any]) -> list[str]:
    """Every documented route that says anything but 401 to who shows no key, a wrong one, or an empty one.

    Each is asked as it is written and in the ways in which a path may be written otherwise.
    """
    wrong = []
    headers: list[dict[str, str]] = [{}, {"Authorization": "Bearer wrong"}, {"X-API-Key": ""}, {"X-API-Key": "wrong"}]
    headers += [{"Authorization": "Basic d3Jvbmc6d3Jvbmc="}, {"Authorization": "Bearer"}, {"Cookie": "key=wrong"}]
    for method, path in documented(document):
        for way in (path, f"{path}/", f"/{path}", f"{path}?key=wrong", f"/page/..{path}", f"/%2e{path}", path.upper()):
            for shown in headers:
                # Whole, or httpx takes `//x` for a host; and each alone: a route that fails may end its connection.
                answer = client.request(
                    method, str(client.base_url).rstrip("/") + way, headers={"Connection": "close", **shown}
                )
                if answer.status_code != 401:
                    wrong.append(f"{method} {way} {shown}: {answer.status_code}")
    return wrong
