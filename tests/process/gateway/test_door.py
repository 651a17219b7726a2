"""Who may: keys, limits and bodies before the whole application, on a real uvicorn."""

from __future__ import annotations

import re
import secrets
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

import httpx
import pytest
import uvicorn

from benchmarks.ports import free_ports
from gateway.access import AccessSettings
from gateway.app import create_app
from gateway.settings import Settings
from medserve.testing import FakeModel, FakeServer

KEY, OTHER = secrets.token_urlsafe(32), secrets.token_urlsafe(32)
DIGEST, OTHER_DIGEST = (sha256(key.encode()).hexdigest() for key in (KEY, OTHER))

SCOPES = "feedback,metrics,drift"


@contextmanager
def running(folder: Path, **access: str) -> Iterator[str]:
    """The URL of a gateway before a server in memory."""
    models = {
        "film": FakeModel(labels=("well", "ill"), probabilities=(0.2, 0.8)),
        "a_film": FakeModel(labels=("well", "ill"), probabilities=(0.2, 0.8)),
        "lesion": FakeModel(labels=("benign", "malignant"), probabilities=(0.6, 0.4)),
    }
    app = create_app(
        Settings(audit=f"sqlite:///{folder}/audit.sqlite3"),
        AccessSettings.from_environment(access),
        transports={Settings().server: FakeServer(models).asynchronous()},
    )
    (port,) = free_ports(1)
    server = uvicorn.Server(uvicorn.Config(app, port=port, access_log=False, log_level="error"))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            assert thread.is_alive()
            time.sleep(0.02)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join()


def _keys_file(folder: Path, text: str) -> Path:
    file = folder / "keys.toml"
    partial = folder / "partial"
    partial.write_text(text)
    partial.chmod(0o600)
    partial.replace(file)
    return file


def _table(name: str, digest: str, more: str = 'models = ["*"]\nscopes = ["feedback", "metrics", "drift"]') -> str:
    return f'[[key]]\nid = "{name}"\nsha256 = "{digest}"\n{more}\n'


def _routes(url: str) -> list[tuple[str, str]]:
    paths = httpx.get(f"{url}/openapi.json", headers={"X-API-Key": KEY}).json()["paths"]
    filled = {"model": "film", "prediction_id": "0" * 32}
    return [(method, re.sub(r"\{(\w+)\}", lambda m: filled[m[1]], path)) for path, of in paths.items() for method in of]


def test_no_route_of_the_document_answers_without_a_key(tmp_path: Path) -> None:
    with running(tmp_path, GATEWAY_KEYS=f"ward:{DIGEST}:*:{SCOPES}") as url, httpx.Client(base_url=url) as client:
        routes = [*_routes(url), ("get", "/openapi.json")]
        assert len(routes) >= 12
        for method, path in routes:
            for headers in ({}, {"X-API-Key": OTHER}, {"Authorization": f"Bearer {OTHER}"}, {"Authorization": KEY}):
                for written in (path, f"/{path}", f"{path}/", path.replace("/", "/%2e/", 1), f"{path}?x=/page/"):
                    found = client.request(method, f"{url}{written}", headers=headers, content=b"x")
                    assert found.status_code == 401, (method, written, headers)
                    assert found.json()["code"] in ("no_key", "bad_key")
                    assert "Bearer" in found.headers["www-authenticate"]
            for method_ in ("HEAD", "OPTIONS", "PUT", "TRACE"):
                assert client.request(method_, path).status_code == 401
        for path in ("/page/../predict/film", "/page/%2e%2e/predict/film", "/page/../metrics"):
            raw = _raw(url, f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
            assert raw.split()[1] in (b"401", b"404"), raw
            raw = _raw(
                url, f"POST {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 0\r\n\r\n".encode()
            )
            assert b" 401 " in raw.split(b"\r\n")[0], raw
        assert client.get("/").status_code == 200
        for headers in ({"X-API-Key": KEY}, {"Authorization": f"Bearer {KEY}"}, {"authorization": f"bearer {KEY}"}):
            assert client.post("/predict/film", content=b"x", headers=headers).status_code == 200
            assert client.get("/metrics", headers=headers).status_code == 200


def _raw(url: str, request: bytes, pause_s: float = 0.0) -> bytes:
    host, port = url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=60) as connection:
        connection.sendall(request)
        time.sleep(pause_s)
        answer = b""
        while piece := connection.recv(65536):
            answer += piece
        return answer


def test_a_key_is_for_its_models(tmp_path: Path) -> None:
    keys = f"ward:{DIGEST}:film:feedback,drift other:{OTHER_DIGEST}:lesion:feedback"
    with running(tmp_path, GATEWAY_KEYS=keys) as url, httpx.Client(base_url=url, headers={"X-API-Key": KEY}) as client:
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
    with running(tmp_path, GATEWAY_KEYS_FILE=str(file)) as url, httpx.Client(base_url=url) as client:
        client.headers["X-API-Key"] = KEY
        files = [("file", ("x.png", b"x"))] * 20
        assert client.post("/predict/film/batch", files=files).status_code == 200
        refused = client.post("/predict/film", content=b"x")
    assert (refused.status_code, refused.json()["code"]) == (429, "rate_limited")
    assert 7 <= int(refused.headers["Retry-After"]) <= 9  # (20 + 1 - 3) / 2


def test_batches_side_by_side_overdraw_once(tmp_path: Path) -> None:
    files = [("file", (f"{n}.png", b"film", "image/png")) for n in range(64)]
    limits = {"GATEWAY_RATE_PER_S": "1", "GATEWAY_BURST": "10"}

    def ask(client: httpx.Client) -> httpx.Response:
        return client.post("/predict/film/batch", files=files)

    with (
        running(tmp_path, GATEWAY_KEYS=f"ward:{DIGEST}", **limits) as url,
        httpx.Client(base_url=url, headers={"X-API-Key": KEY}) as client,
        ThreadPoolExecutor(10) as pool,
    ):
        answers = list(pool.map(ask, [client] * 10))
    assert Counter(one.status_code for one in answers) == {200: 1, 429: 9}
    assert all(int(one.headers["retry-after"]) > 40 for one in answers if one.status_code == 429)
    assert {one.json()["code"] for one in answers if one.status_code == 429} == {"rate_limited"}


def test_sensitivity_outlives_a_restart(tmp_path: Path) -> None:
    """Labels come over months; a gateway is started again every few days."""
    told = {}
    for start in range(3):
        with running(tmp_path) as url, httpx.Client(base_url=url) as client:
            for _ in range(100):
                found = client.get("/drift").json()["models"]["film"]["performance"]
                if (found or {"count": 0})["count"] == start:
                    break
                time.sleep(0.05)
            told[start] = found
            if start:
                assert 'medserve_sensitivity{label="ill",model="film"} 1.0' in client.get("/metrics").text
            own = client.post("/predict/film", content=b"x").json()["prediction_id"]
            assert client.post(f"/feedback/{own}", json={"label": "well" if start else "ill"}).status_code == 204
    assert told[0] is None
    assert (told[1]["total"], told[1]["specificity"]["ill"]["of"]) == (1, 0)
    assert (told[2]["total"], told[2]["specificity"]["ill"]["of"], told[2]["specificity"]["ill"]["right"]) == (2, 1, 0)


def test_hyphens_are_as_good_as_underscores(tmp_path: Path) -> None:
    keys = f"ward:{DIGEST}:a-film"
    with running(tmp_path, GATEWAY_KEYS=keys) as url, httpx.Client(base_url=url, headers={"X-API-Key": KEY}) as client:
        assert client.post("/predict/a-film", content=b"x").status_code == 200
        assert client.post("/predict/a_film", content=b"x").status_code == 200
        assert client.post("/predict/film", content=b"x").status_code == 403


def test_keys_change_while_it_runs(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    file = _keys_file(tmp_path, _table("ward", DIGEST))

    def status(key: str) -> int:
        time.sleep(1.2)
        return httpx.get(f"{url}/health", headers={"X-API-Key": key}).status_code

    with running(tmp_path, GATEWAY_KEYS_FILE=str(file)) as url:
        assert (status(KEY), status(OTHER)) == (200, 401)
        _keys_file(tmp_path, _table("ward", DIGEST) + _table("next", OTHER_DIGEST))
        assert (status(KEY), status(OTHER)) == (200, 200)
        _keys_file(tmp_path, _table("next", OTHER_DIGEST))
        assert (status(KEY), status(OTHER)) == (401, 200)
        _keys_file(tmp_path, "[[key]\nnonsense")
        assert status(OTHER) == 200  # what cannot be meant changes nothing
        file.unlink()
        assert status(OTHER) == 401  # no keys: nobody
    said = capfd.readouterr().err
    assert "keys.toml" in said
    assert KEY not in said
    assert DIGEST not in said


def test_limits_hold_under_fifty_clients(tmp_path: Path) -> None:
    more = 'models = ["*"]\nscopes = ["metrics"]\nrate_per_s = 2.0\nburst = 10'
    file = _keys_file(tmp_path, _table("ward", DIGEST, more))
    statuses = Counter[int]()
    with running(tmp_path, GATEWAY_KEYS_FILE=str(file)) as url:
        ends = time.monotonic() + 4

        def ask(_: int) -> None:
            with httpx.Client(base_url=url, headers={"X-API-Key": KEY}, timeout=30) as client:
                while time.monotonic() < ends:
                    found = client.post("/predict/film", content=b"x")
                    statuses[found.status_code] += 1
                    if found.status_code == 429:
                        assert int(found.headers["retry-after"]) >= 1
                        assert found.json()["code"] == "rate_limited"

        began = time.monotonic()
        with ThreadPoolExecutor(50) as pool:
            list(pool.map(ask, range(50)))
        took = time.monotonic() - began
        time.sleep(2)  # the last of them may still use up what comes in
        told = httpx.get(f"{url}/metrics", headers={"X-API-Key": KEY})
    assert set(statuses) == {200, 429}
    assert 10 < statuses[200] <= 10 + 2 * took + 1
    counted = re.search(r'medserve_gateway_refused_total\{reason="rate_limited"\} ([\d.]+)', told.text)
    assert float(counted[1]) == statuses[429]


def test_concurrency_holds(tmp_path: Path) -> None:
    """Bodies that are not finished hold their places."""
    file = _keys_file(tmp_path, _table("ward", DIGEST, 'models = ["*"]\nconcurrency = 3'))
    head = f"POST /predict/film HTTP/1.1\r\nHost: x\r\nX-API-Key: {KEY}\r\nContent-Length: 5\r\n\r\n".encode()
    with running(tmp_path, GATEWAY_KEYS_FILE=str(file)) as url:
        host, port = url.removeprefix("http://").split(":")
        held = [socket.create_connection((host, int(port))) for _ in range(3)]
        for one in held:
            one.sendall(head + b"x")
        time.sleep(0.3)
        refused = httpx.post(f"{url}/predict/film", content=b"x", headers={"X-API-Key": KEY})
        assert (refused.status_code, refused.json()["code"]) == (429, "too_many_at_once")
        for one in held[:2]:
            one.sendall(b"xxxx")
            assert b" 200 " in one.recv(65536).split(b"\r\n")[0]
        held[2].close()  # who goes away gives his place back
        time.sleep(0.3)
        assert httpx.post(f"{url}/predict/film", content=b"x", headers={"X-API-Key": KEY}).status_code == 200
        for one in held[:2]:
            one.close()


def test_bodies_are_bounded_before_they_are_read(tmp_path: Path) -> None:
    with running(tmp_path, GATEWAY_MAX_BODY_BYTES="1000") as url:
        head = "POST /predict/film HTTP/1.1\r\nHost: x\r\nContent-Length: 1001\r\n\r\n"
        assert b" 413 " in _raw(url, head.encode()).split(b"\r\n")[0]  # at once: nothing of the body was sent
        chunked = "POST /predict/film HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
        sent = chunked.encode() + b"200\r\n" + bytes(0x200) + b"\r\n200\r\n" + bytes(0x200) + b"\r\n"
        assert b" 413 " in _raw(url, sent).split(b"\r\n")[0]
        assert httpx.post(f"{url}/predict/film", content=b"x" * 1000).status_code == 200
        form = {"file": ("x", b"x" * 1000)}
        assert httpx.post(f"{url}/predict/film", files=form).json()["code"] == "too_large"


def test_a_body_that_trickles_ends(tmp_path: Path) -> None:
    with running(tmp_path, GATEWAY_MAX_BODY_S="1") as url:
        head = b"POST /predict/film HTTP/1.1\r\nHost: x\r\nContent-Length: 5000\r\n\r\nx"
        began = time.monotonic()
        assert b" 408 " in _raw(url, head).split(b"\r\n")[0]
        assert 0.9 < time.monotonic() - began < 5


def test_every_response_has_the_headers_and_browsers_of_others_are_kept_out(tmp_path: Path) -> None:
    with running(
        tmp_path, GATEWAY_KEYS=f"ward:{DIGEST}:*:{SCOPES}", GATEWAY_CORS_ORIGINS="https://ward.example"
    ) as url:
        for path, key in (("/", ""), ("/metrics", ""), ("/metrics", KEY), ("/nowhere", KEY)):
            headers = httpx.get(f"{url}{path}", headers={"X-API-Key": key}).headers
            assert "default-src 'none'" in headers["content-security-policy"]
            assert headers["x-content-type-options"] == "nosniff"
            assert headers.get("access-control-allow-origin") is None
        asked = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "x-api-key"}
        own = httpx.options(f"{url}/predict/film", headers={"Origin": "https://ward.example", **asked})
        assert own.headers["access-control-allow-origin"] == "https://ward.example"
        other = httpx.options(f"{url}/predict/film", headers={"Origin": "https://evil.example", **asked})
        assert "access-control-allow-origin" not in other.headers
    with running(tmp_path) as url:
        said = httpx.options(f"{url}/predict/film", headers={"Origin": "https://ward.example", **asked})
        assert "access-control-allow-origin" not in said.headers
