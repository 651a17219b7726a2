"""Versions by weights: who answers, who is asked besides, and what becomes of a canary that is away."""

from __future__ import annotations

import hashlib
from collections import Counter
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from gateway.clients import REST_S
from gateway.versions import Route, RoutesError, chosen, read_routes
from gateway.watched import LOOK_S
from medserve import (
    BrokenAnswer,
    InvalidInput,
    MedServeError,
    Overloaded,
    ServerFault,
    TimedOut,
    Unavailable,
    UnknownModel,
)
from tests.support.clock import Clock, until
from tests.support.gateway_app import OWN, audit_lines, film_server, gateway_app

CANARY, NEXT = "grpc://canary:1", "grpc://next:1"


def _table(name: str, url: str, weight: float, *, shadow: bool = False, model: str = "film") -> str:
    lines = [f'model = "{model}"', f'name = "{name}"', f'url = "{url}"', f"weight = {weight}"]
    return "\n".join(["[[route]]", *lines, f"shadow = {str(shadow).lower()}", ""])


def test_shares_are_what_the_weights_say_and_the_same_input_goes_the_same_way() -> None:
    routes = (
        Route(model="m", name="a", weight=0.1),
        Route(model="m", name="b", weight=0.3),
        Route(model="m", name="s", weight=0.5, shadow=True),
        Route(model="other", name="c", weight=1.0),
    )
    digests = [hashlib.sha256(str(number).encode()).digest() for number in range(20_000)]
    found = [chosen(routes, "m", digest) for digest in digests]
    counts = Counter(route.name for route, _ in found)
    assert counts["a"] == pytest.approx(2000, rel=0.1)
    assert counts["b"] == pytest.approx(6000, rel=0.05)
    assert set(counts) == {"", "a", "b"}
    assert sum(len(shadows) for _, shadows in found) == pytest.approx(10_000, rel=0.05)
    assert found == [chosen(routes, "m", digest) for digest in digests]


def _sent(client: TestClient, content: bytes) -> dict:
    answer = client.post("/predict/film", content=content, headers={"content-type": "image/png"})
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_a_canary_and_a_shadow(tmp_path: Path) -> None:
    file, inputs = tmp_path / "routes.toml", [bytes([number]) for number in range(1, 41)]
    file.write_text(_table("canary", CANARY, 0.5) + _table("next", NEXT, 1.0, shadow=True), "utf-8")
    servers = {OWN: film_server(by="own"), CANARY: film_server(by="canary"), NEXT: film_server(by="next")}
    with gateway_app(tmp_path, servers, GATEWAY_ROUTES=str(file)) as client:
        first, again = ([_sent(client, one) for one in inputs] for _ in range(2))
        until(lambda: sum(line["kind"] == "shadow" for line in audit_lines(tmp_path)) == 80, "the shadow's lines")
    lines = audit_lines(tmp_path)
    answers = {line["prediction_id"]: line["route"] for line in lines if line["kind"] == "answer"}
    assert Counter(line["kind"] for line in lines) == {"answer": 80, "shadow": 80}
    assert {line["route"] for line in lines if line["kind"] == "shadow"} == {"next"}
    assert min(Counter(answers.values())[route] for route in ("", "canary")) > 20
    for one, other in zip(first, again, strict=True):
        assert answers[one["prediction_id"]] == answers[other["prediction_id"]]
        assert one["by"] == other["by"] == (answers[one["prediction_id"]] or "own")


@pytest.mark.parametrize("failure", [Unavailable, TimedOut, UnknownModel, BrokenAnswer, ServerFault])
def test_a_canary_that_gives_no_answer_costs_nobody_his_and_rests(tmp_path: Path, failure: type[MedServeError]) -> None:
    """Whoever comes after the first does not wait for it, until REST_S later."""
    file, clock, canary = tmp_path / "routes.toml", Clock(), film_server(by="canary")
    file.write_text(_table("canary", CANARY, 1.0), "utf-8")
    canary.fail(failure("it is away"))
    with gateway_app(
        tmp_path, {OWN: film_server(by="own"), CANARY: canary}, clock=clock, GATEWAY_ROUTES=str(file)
    ) as client:
        assert [_sent(client, b"x")["by"] for _ in range(3)] == ["own"] * 3
        assert len(canary.calls) == 1
        clock.advance(REST_S - 0.01)
        assert _sent(client, b"x")["by"] == "own"
        clock.advance(0.01)
        assert _sent(client, b"x")["by"] == "canary"
    kinds = [(line["kind"], line["route"]) for line in audit_lines(tmp_path)]
    assert kinds == [("error", "canary") if failure is not UnknownModel else ("refusal", "canary")] + [
        ("answer", "")
    ] * 4 + [("answer", "canary")]


@pytest.mark.parametrize("refusal", [InvalidInput, Overloaded])
def test_a_canary_that_refuses_one_input_is_asked_about_the_next(tmp_path: Path, refusal: type[MedServeError]) -> None:
    file, canary = tmp_path / "routes.toml", film_server(by="canary")
    file.write_text(_table("canary", CANARY, 1.0), "utf-8")
    canary.fail(refusal("not now"))
    with gateway_app(tmp_path, {OWN: film_server(by="own"), CANARY: canary}, GATEWAY_ROUTES=str(file)) as client:
        assert [_sent(client, b"x")["by"] for _ in range(2)] == ["own", "canary"]


def test_a_file_that_cannot_be_meant_changes_nothing(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    file, clock = tmp_path / "routes.toml", Clock()
    file.write_text(_table("canary", CANARY, 1.0), "utf-8")
    servers = {OWN: film_server(by="own"), CANARY: film_server(by="canary"), NEXT: film_server(by="next")}
    with gateway_app(tmp_path, servers, clock=clock, GATEWAY_ROUTES=str(file)) as client:
        found = []
        for text in ("[[route]]\nnonsense = 1\n", _table("next", NEXT, 1.0)):
            file.write_text(text, "utf-8")
            clock.advance(LOOK_S)
            found.append(_sent(client, b"x")["by"])
    assert found == ["canary", "next"]
    assert "routes.toml: route 0: expected" in capfd.readouterr().err


@pytest.mark.parametrize("away", [False, True])
def test_what_is_said_of_an_answer_counts_for_the_server_that_gave_it(tmp_path: Path, away: bool) -> None:
    """A canary's answers are no figures of the own server's; where it was away, the own answer is what is meant."""
    file, canary = tmp_path / "routes.toml", film_server()
    file.write_text(_table("canary", CANARY, 1.0), "utf-8")
    if away:
        canary.fail(Unavailable("it is away"))
    with gateway_app(tmp_path, {OWN: film_server(), CANARY: canary}, GATEWAY_ROUTES=str(file)) as client:
        answer = _sent(client, b"x")
        told = client.post(f"/feedback/{answer['prediction_id']}", json={"label": answer["prediction"]})
        performance = client.get("/drift").json()["models"]["film"]["performance"]
    (recorded,) = (line for line in audit_lines(tmp_path) if line["kind"] == "feedback")
    assert told.status_code == 204
    assert recorded["route"] == ("" if away else "canary")
    assert (performance["count"] if performance else 0) == int(away)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("x = 1", "also x"),
        ("[[route]]\nmodel = 'm'", "expected a value for name, url, weight"),
        (_table("a", "grpc://x:1", 1.5), "0 to 1"),
        (_table("a", "ftp://x:1", 0.5), "expected"),
        (_table("a", "grpc://x:1", 0.6) + _table("b", "grpc://x:1", 0.6), "1 at most"),
        (_table("a", "grpc://x:1", 0.1) + _table("a", "grpc://y:1", 0.1), "distinct"),
        (_table("a", "grpc://x:1", 0.1).replace("0.1", "true"), "another type"),
        ("[[route]\n", "TOML"),
        (_table("n" * 65, "grpc://x:1", 0.1), "printable text of 64 characters"),
        (_table("a\\nb", "grpc://x:1", 0.1), "printable text of 64 characters"),
    ],
)
def test_files_that_cannot_be_meant(tmp_path: Path, text: str, says: str) -> None:
    file = tmp_path / "routes.toml"
    file.write_text(text, "utf-8")
    with pytest.raises(RoutesError, match=says):
        read_routes(file)
