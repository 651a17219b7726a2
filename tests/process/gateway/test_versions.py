"""Versions by weights: who answers, who is asked besides, and what becomes of a canary that is away."""

from __future__ import annotations

import hashlib
import json
import sqlite3
import time
from collections import Counter
from pathlib import Path

import pytest

from benchmarks.ports import free_ports
from export.samples import picture
from gateway.versions import Route, RoutesError, chosen, read_routes
from tests.support.gateway_process import Running, gateway
from tests.support.live import Live

MODEL, CLASSIFIER = "solubility", "pneumonia_cnn"
MOLECULES = tuple("C" * count + "O" for count in range(1, 41))


def _table(name: str, url: str, weight: float, *, shadow: bool = False, model: str = MODEL) -> str:
    lines = [f'model = "{model}"', f'name = "{name}"', f'url = "{url}"', f"weight = {weight}"]
    return "\n".join(["[[route]]", *lines, f"shadow = {str(shadow).lower()}", ""])


def _lines(door: Running) -> list[dict]:
    with sqlite3.connect(door.folder / "audit.sqlite3") as database:
        tables = [name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        cells = [cell for table in tables for row in database.execute(f'SELECT * FROM "{table}"') for cell in row]
    found = []
    for cell in cells:
        text = cell.decode() if isinstance(cell, bytes) else str(cell)
        if text.startswith("{") and '"prediction_id"' in text:
            found.append(json.loads(text))
    return found


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


def test_a_canary_and_a_shadow(triton: Live, tmp_path: Path) -> None:
    file = tmp_path / "routes.toml"
    url = triton.grpc_url
    file.write_text(_table("canary", url, 0.5) + _table("next", url, 1.0, shadow=True), "utf-8")
    with gateway(url, tmp_path / "run", GATEWAY_ROUTES=str(file)) as door:
        with door.client() as client:
            first = [client.post(f"/predict/{MODEL}", json={"smiles": one}).json() for one in MOLECULES]
            again = [client.post(f"/predict/{MODEL}", json={"smiles": one}).json() for one in MOLECULES]
            deadline = time.monotonic() + 20
            while sum(line["kind"] == "shadow" for line in _lines(door)) < 80 and time.monotonic() < deadline:
                time.sleep(0.2)
        lines = _lines(door)
    answers = {line["prediction_id"]: line["route"] for line in lines if line["kind"] == "answer"}
    assert Counter(line["kind"] for line in lines) == {"answer": 80, "shadow": 80}
    assert {line["route"] for line in lines if line["kind"] == "shadow"} == {"next"}
    by_route = Counter(answers.values())
    assert set(by_route) == {"", "canary"}
    assert min(by_route.values()) > 20
    for one, other in zip(first, again, strict=True):
        assert answers[one["prediction_id"]] == answers[other["prediction_id"]]
        assert one["prediction"] == pytest.approx(other["prediction"], abs=1e-3)  # its batch may be another


def test_a_canary_that_is_away_costs_nobody_his_answer(triton: Live, tmp_path: Path) -> None:
    (nobody,) = free_ports(1)
    file = tmp_path / "routes.toml"
    file.write_text(_table("canary", f"grpc://127.0.0.1:{nobody}", 1.0), "utf-8")
    with gateway(triton.grpc_url, tmp_path / "run", GATEWAY_ROUTES=str(file), GATEWAY_TIMEOUT_S="5") as door:
        with door.client() as client:
            answer = client.post(f"/predict/{MODEL}", json={"smiles": "CCO"})
            file.write_text("[[route]]\nnonsense = 1\n", "utf-8")
            time.sleep(1.2)
            assert client.post(f"/predict/{MODEL}", json={"smiles": "CCCO"}).status_code == 200
        lines = _lines(door)
        assert "routes.toml" in door.log()
    assert answer.status_code == 200
    assert {(line["kind"], line["route"]) for line in lines} == {("error", "canary"), ("answer", "")}


@pytest.mark.parametrize("away", [False, True])
def test_what_is_said_of_an_answer_counts_for_the_server_that_gave_it(triton: Live, tmp_path: Path, away: bool) -> None:
    """A canary's answers are no figures of the own server's; where it was away, the own answer is what is meant."""
    url = f"grpc://127.0.0.1:{free_ports(1)[0]}" if away else triton.grpc_url
    file = tmp_path / "routes.toml"
    file.write_text(_table("canary", url, 1.0, model=CLASSIFIER), "utf-8")
    with gateway(triton.grpc_url, tmp_path / "run", GATEWAY_ROUTES=str(file), GATEWAY_TIMEOUT_S="5") as door:
        with door.client() as client:
            answer = client.post(f"/predict/{CLASSIFIER}", files={"file": ("x.png", picture(1))}).json()
            told = client.post(f"/feedback/{answer['prediction_id']}", json={"label": answer["prediction"]})
            performance = client.get("/drift").json()["models"][CLASSIFIER]["performance"]
        (recorded,) = (line for line in _lines(door) if line["kind"] == "feedback")
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
