"""What fails next to the gateway: a server that hangs or cannot be recorded, an audit log that is gone, a start."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from gateway.__main__ import main
from gateway.access import AccessMiddleware, AccessSettings
from gateway.catalogue import Catalogue
from gateway.failures import Contained
from medserve import AsyncClient, TimedOut
from medserve.calls import Arrays, Call
from tests.support.gateway_app import OWN, audit_lines, film_server, gateway_app

FILM = {"content": b"x", "headers": {"content-type": "image/png"}}


class Hanging:
    """In the place of connections to a server that takes calls, and answers none until the test lets them fail."""

    def __init__(self) -> None:
        self.calls, self.free = 0, asyncio.Event()

    async def send(self, call: Call, timeout_s: float) -> Arrays:
        self.calls += 1
        await self.free.wait()
        raise TimedOut("it hangs")

    async def close(self) -> None: ...


def test_all_wait_for_one_question_to_a_server_that_hangs() -> None:
    async def run() -> tuple[int, list[object]]:
        server = Hanging()
        catalogue = Catalogue(AsyncClient(OWN, transport=server), lambda *_: None)
        callers = [asyncio.create_task(catalogue.models()) for _ in range(12)]
        while not server.calls:
            await asyncio.sleep(0)
        server.free.set()
        return server.calls, await asyncio.gather(*callers, return_exceptions=True)

    calls, found = asyncio.run(run())
    assert calls == 1
    assert [type(one) for one in found] == [TimedOut] * 12


@pytest.mark.parametrize("broken", [{"prediction": "x" * 300}, {"prediction": "a\nb"}])
def test_an_answer_that_cannot_be_recorded_is_none(tmp_path: Path, broken: dict[str, str]) -> None:
    """A canary's costs nobody his answer; the own server's is an error, and is told as one."""
    routes, canary = tmp_path / "routes.toml", "grpc://canary:1"
    routes.write_text(f'[[route]]\nmodel = "film"\nname = "canary"\nurl = "{canary}"\nweight = 1.0\n')
    servers = {OWN: film_server(), canary: film_server(**broken)}
    with gateway_app(tmp_path / "one", servers, GATEWAY_ROUTES=str(routes)) as client:
        assert client.post("/predict/film", **FILM).json()["prediction"] == "ill"
    with gateway_app(tmp_path / "two", {OWN: film_server(**broken)}) as client:
        answer = client.post("/predict/film", **FILM)
    assert (answer.status_code, answer.json()["code"]) == (502, "broken_answer")
    kinds = {name: [(line["kind"], line["route"]) for line in audit_lines(tmp_path / name)] for name in ("one", "two")}
    assert kinds == {"one": [("error", "canary"), ("answer", "")], "two": [("error", "")]}


def test_nothing_told_that_is_not_recorded_and_no_flood_about_it(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    with gateway_app(tmp_path, {OWN: film_server()}) as client:
        assert client.post("/predict/film", **FILM).status_code == 200
        for file in tmp_path.glob("audit.sqlite3*"):
            file.unlink()
        for _ in range(200):  # `client` raises what leaves the application: it would end the connection
            answer = client.post("/predict/film", **FILM)
            assert (answer.status_code, answer.json()["code"]) == (503, "not_recorded")
            assert "X-Prediction-Id" not in answer.headers
    assert len(capfd.readouterr().err) + len(caplog.text) < 2000
    assert "Traceback" not in caplog.text


def test_caller_that_hangs_up_is_not_a_failure() -> None:
    """In the middle of a body: the application has nobody to answer."""
    said: list[str] = []

    async def application(scope: dict, receive: Callable, send: Callable) -> None:
        from starlette.requests import Request

        await Request(scope, receive).body()

    async def run() -> None:
        messages = iter([{"type": "http.request", "body": b"abc", "more_body": True}, {"type": "http.disconnect"}])

        async def receive() -> dict:
            return next(messages)

        async def send(message: dict) -> None:
            raise AssertionError(message)

        app = AccessMiddleware(Contained(application, said.append), AccessSettings(), CollectorRegistry())
        headers = [(b"host", b"localhost"), (b"content-length", b"1000")]
        await app({"type": "http", "method": "POST", "path": "/predict/film", "headers": headers}, receive, send)

    asyncio.run(run())
    assert said == []


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        ({"AUDIT_KEY": "short"}, "AUDIT_KEY"),
        ({"AUDIT_URL": "mysql://elsewhere/x"}, "AUDIT_URL"),
        ({"GATEWAY_ROUTES": "/nowhere/routes.toml"}, "routes.toml"),
        ({"GATEWAY_SERVER": "ftp://x:1"}, "url"),
        ({"GATEWAY_HOST": "0.0.0.0"}, "GATEWAY_HOST"),
    ],
)
def test_a_start_that_fails_says_why_in_a_line_or_two(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], said: dict[str, str], sentence: str
) -> None:
    assert main({"AUDIT_URL": f"sqlite:///{tmp_path}/audit.sqlite3"} | said) == 1
    told = capfd.readouterr().err
    assert sentence in told
    assert "Traceback" not in told
    assert len(told.splitlines()) <= 5, told
