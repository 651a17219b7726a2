"""Who may: keys and limits before the whole application."""

from __future__ import annotations

import re
import secrets
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from hashlib import sha256
from pathlib import Path

import pytest
from httpx2 import Response
from starlette.testclient import TestClient

from gateway.watched import LOOK_S
from medserve.testing import FakeModel, FakeServer
from tests.support.clock import Clock, until
from tests.support.gateway_app import OWN, gateway_app

KEY, OTHER = secrets.token_urlsafe(32), secrets.token_urlsafe(32)
DIGEST, OTHER_DIGEST = (sha256(key.encode()).hexdigest() for key in (KEY, OTHER))

SCOPES = "feedback,metrics,drift"


def running(folder: Path, *, clock: Callable[[], float] = time.monotonic, **access: str) -> AbstractContextManager:
    """A client of a gateway before a server in memory."""
    film = FakeModel(labels=("well", "ill"), probabilities=(0.2, 0.8))
    lesion = FakeModel(labels=("benign", "malignant"), probabilities=(0.6, 0.4))
    server = FakeServer({"film": film, "a_film": film, "lesion": lesion})
    return gateway_app(folder, {OWN: server}, clock=clock, **access)


def _keys_file(folder: Path, text: str) -> Path:
    file = folder / "keys.toml"
    partial = folder / "partial"
    partial.write_text(text)
    partial.chmod(0o600)
    partial.replace(file)
    return file


def _table(name: str, digest: str, more: str = 'models = ["*"]\nscopes = ["feedback", "metrics", "drift"]') -> str:
    return f'[[key]]\nid = "{name}"\nsha256 = "{digest}"\n{more}\n'


def _routes(client: TestClient) -> list[tuple[str, str]]:
    paths = client.get("/openapi.json", headers={"X-API-Key": KEY}).json()["paths"]
    filled = {"model": "film", "prediction_id": "0" * 32}
    return [(method, re.sub(r"\{(\w+)\}", lambda m: filled[m[1]], path)) for path, of in paths.items() for method in of]


def test_no_route_of_the_document_answers_without_a_key(tmp_path: Path) -> None:
    with running(tmp_path, GATEWAY_KEYS=f"ward:{DIGEST}:*:{SCOPES}") as client:
        routes = [*_routes(client), ("get", "/openapi.json")]
        assert len(routes) >= 12
        for method, path in routes:
            for headers in ({}, {"X-API-Key": OTHER}, {"Authorization": f"Bearer {OTHER}"}, {"Authorization": KEY}):
                for written in (path, f"/{path}", f"{path}/", path.replace("/", "/%2e/", 1), f"{path}?x=/page/"):
                    found = client.request(method, f"http://127.0.0.1{written}", headers=headers, content=b"x")
                    assert found.status_code == 401, (method, written, headers)
                    assert found.json()["code"] in ("no_key", "bad_key")
                    assert "Bearer" in found.headers["www-authenticate"]
            for method_ in ("HEAD", "OPTIONS", "PUT", "TRACE"):
                assert client.request(method_, path).status_code == 401
        assert client.get("/").status_code == 200
        for headers in ({"X-API-Key": KEY}, {"Authorization": f"Bearer {KEY}"}, {"authorization": f"bearer {KEY}"}):
            assert client.post("/predict/film", content=b"x", headers=headers).status_code == 200
            assert client.get("/metrics", headers=headers).status_code == 200


def test_a_key_is_for_its_models(tmp_path: Path) -> None:
    keys = f"ward:{DIGEST}:film:feedback,drift other:{OTHER_DIGEST}:lesion:feedback"
    with running(tmp_path, GATEWAY_KEYS=keys) as client:
        client.headers["X-API-Key"] = KEY
        answer = client.post("/predict/film", content=b"x")
        assert answer.status_code == 200
        refused = client.post("/predict/lesion", content=b"x")
        assert (refused.status_code, refused.json()["code"]) == (403, "not_this_model")
        assert [one["name"] for one in client.get("/model-info").json()["models"]] == ["film"]
        assert set(client.get("/drift").json()["models"]) == {"film"}
        told = {"json": {"label": "well"}, "headers": {"X-API-Key": OTHER}}
        assert client.post(f"/feedback/{answer.json()['prediction_id']}", **told).status_code == 404
        assert client.post(f"/feedback/{answer.json()['prediction_id']}", json={"label": "well"}).status_code == 204


def test_a_batch_counts_as_its_items(tmp_path: Path) -> None:
    file = _keys_file(tmp_path, _table("ward", DIGEST, 'models = ["*"]\nrate_per_s = 2\nburst = 3'))
    with running(tmp_path, clock=Clock(), GATEWAY_KEYS_FILE=str(file)) as client:
        client.headers["X-API-Key"] = KEY
        files = [("file", ("x.png", b"x"))] * 20
        assert client.post("/predict/film/batch", files=files).status_code == 200
        refused = client.post("/predict/film", content=b"x")
    assert (refused.status_code, refused.json()["code"]) == (429, "rate_limited")
    assert int(refused.headers["Retry-After"]) == 9  # (20 + 1 - 3) / 2


def test_batches_side_by_side_overdraw_once(tmp_path: Path) -> None:
    files = [("file", (f"{n}.png", b"film", "image/png")) for n in range(64)]
    limits = {"GATEWAY_RATE_PER_S": "1", "GATEWAY_BURST": "10"}

    def ask(client: TestClient) -> Response:
        return client.post("/predict/film/batch", files=files)

    with (
        running(tmp_path, clock=Clock(), GATEWAY_KEYS=f"ward:{DIGEST}", **limits) as client,
        ThreadPoolExecutor(10) as pool,
    ):
        client.headers["X-API-Key"] = KEY
        answers = list(pool.map(ask, [client] * 10))
    assert Counter(one.status_code for one in answers) == {200: 1, 429: 9}
    assert all(int(one.headers["retry-after"]) > 40 for one in answers if one.status_code == 429)
    assert {one.json()["code"] for one in answers if one.status_code == 429} == {"rate_limited"}


def test_sensitivity_outlives_a_restart(tmp_path: Path) -> None:
    """Labels come over months; a gateway is started again every few days."""
    told = {}
    for start in range(3):
        with running(tmp_path) as client:

            def performance() -> dict | None:
                return client.get("/drift").json()["models"]["film"]["performance"]

            if start:  # what was said before is read beside the first requests
                until(lambda count=start: (performance() or {"count": 0})["count"] == count, "the labels of before")
            told[start] = performance()
            if start:
                assert 'medserve_sensitivity{label="ill",model="film"} 1.0' in client.get("/metrics").text
            own = client.post("/predict/film", content=b"x").json()["prediction_id"]
            assert client.post(f"/feedback/{own}", json={"label": "well" if start else "ill"}).status_code == 204
    assert told[0] is None
    assert (told[1]["total"], told[1]["specificity"]["ill"]["of"]) == (1, 0)
    assert (told[2]["total"], told[2]["specificity"]["ill"]["of"], told[2]["specificity"]["ill"]["right"]) == (2, 1, 0)


def test_hyphens_are_as_good_as_underscores(tmp_path: Path) -> None:
    keys = f"ward:{DIGEST}:a-film"
    with running(tmp_path, GATEWAY_KEYS=keys) as client:
        client.headers["X-API-Key"] = KEY
        assert client.post("/predict/a-film", content=b"x").status_code == 200
        assert client.post("/predict/a_film", content=b"x").status_code == 200
        assert client.post("/predict/film", content=b"x").status_code == 403


def test_keys_change_while_it_runs(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    file, clock = _keys_file(tmp_path, _table("ward", DIGEST)), Clock()

    def statuses() -> tuple[int, int]:
        clock.advance(LOOK_S)
        return tuple(client.get("/health", headers={"X-API-Key": key}).status_code for key in (KEY, OTHER))

    with running(tmp_path, clock=clock, GATEWAY_KEYS_FILE=str(file)) as client:
        assert statuses() == (200, 401)
        _keys_file(tmp_path, _table("ward", DIGEST) + _table("next", OTHER_DIGEST))
        assert statuses() == (200, 200)
        _keys_file(tmp_path, _table("next", OTHER_DIGEST))
        assert statuses() == (401, 200)
        _keys_file(tmp_path, "[[key]\nnonsense")
        assert statuses() == (401, 200)  # what cannot be meant changes nothing
        file.unlink()
        assert statuses() == (401, 401)  # no keys: nobody
    said = capfd.readouterr().err
    assert "keys.toml" in said
    assert KEY not in said
    assert DIGEST not in said


def test_limits_hold_under_fifty_clients(tmp_path: Path) -> None:
    more = 'models = ["*"]\nscopes = ["metrics"]\nrate_per_s = 2.0\nburst = 10'
    file, clock = _keys_file(tmp_path, _table("ward", DIGEST, more)), Clock()

    def ask(_: int) -> Response:
        return client.post("/predict/film", content=b"x")

    statuses = Counter[int]()
    with running(tmp_path, clock=clock, GATEWAY_KEYS_FILE=str(file)) as client, ThreadPoolExecutor(50) as pool:
        client.headers["X-API-Key"] = KEY
        for passed in (10, 8):
            found = list(pool.map(ask, range(100)))
            assert Counter(one.status_code for one in found) == {200: passed, 429: 100 - passed}
            refused = next(one for one in found if one.status_code == 429)
            assert (refused.headers["retry-after"], refused.json()["code"]) == ("1", "rate_limited")
            statuses.update(one.status_code for one in found)
            clock.advance(4)
        told = client.get("/metrics").text
    counted = re.search(r'medserve_gateway_refused_total\{reason="rate_limited"\} ([\d.]+)', told)
    assert float(counted[1]) == statuses[429]


def test_every_response_has_the_headers_and_browsers_of_others_are_kept_out(tmp_path: Path) -> None:
    with running(
        tmp_path, GATEWAY_KEYS=f"ward:{DIGEST}:*:{SCOPES}", GATEWAY_CORS_ORIGINS="https://ward.example"
    ) as client:
        for path, key in (("/", ""), ("/metrics", ""), ("/metrics", KEY), ("/nowhere", KEY)):
            headers = client.get(path, headers={"X-API-Key": key}).headers
            assert "default-src 'none'" in headers["content-security-policy"]
            assert headers["x-content-type-options"] == "nosniff"
            assert headers.get("access-control-allow-origin") is None
        asked = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "x-api-key"}
        own = client.options("/predict/film", headers={"Origin": "https://ward.example", **asked})
        assert own.headers["access-control-allow-origin"] == "https://ward.example"
        other = client.options("/predict/film", headers={"Origin": "https://evil.example", **asked})
        assert "access-control-allow-origin" not in other.headers
    with running(tmp_path) as client:
        said = client.options("/predict/film", headers={"Origin": "https://ward.example", **asked})
        assert "access-control-allow-origin" not in said.headers
