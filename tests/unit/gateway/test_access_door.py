"""The door as a whole: no way round it, and nothing secret behind it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import httpx
import pytest
from starlette.testclient import TestClient

from gateway.access import AccessSettings
from gateway.access.headers import SECURITY_HEADERS
from tests.support.access_app import OTHER, SECRET, Door, answered_without_a_key, documented, door, key
from tests.support.connection import Connection

KEYED = AccessSettings(keys=(key(), key(OTHER, id="narrow", models=("a_model",), scopes=("drift",))))
URL = "http://127.0.0.1"
RIGHT = {"Authorization": f"Bearer {SECRET}"}


@pytest.fixture(scope="module")
def keyed() -> Door:
    return door(KEYED)


def http(behind: Door) -> TestClient:
    return TestClient(behind.app, base_url=URL, raise_server_exceptions=False)


@pytest.fixture(scope="module")
def client(keyed: Door) -> Iterator[TestClient]:
    with http(keyed) as client:  # one event loop for all
        yield client


def raw(behind: Door, method: str, target: str, **headers: str) -> int:
    """The status of a target that is sent exactly as it is written."""
    lines = [f"{method} {target} HTTP/1.1", "Host: 127.0.0.1", "Connection: close", "Content-Length: 0"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return int(exchanged(behind, "\r\n".join([*lines, "", ""]).encode()).split()[1])


def exchanged(behind: Door, request: bytes) -> bytes:
    async def talk() -> bytes:
        connection = Connection(behind.app)
        connection.send(request)
        return await connection.ended()

    return asyncio.run(talk())


def test_no_documented_route_answers_without_a_key(keyed: Door, client: TestClient) -> None:
    document = keyed.inner.openapi()
    assert len(documented(document)) >= 7
    assert answered_without_a_key(client, document) == []


def test_the_walk_finds_a_route_that_is_open() -> None:
    """The same walk over an application that asks nobody must find all of it."""
    free = door(AccessSettings())
    with http(free) as client:
        assert len(answered_without_a_key(client, free.inner.openapi())) >= 7 * 7


@pytest.mark.parametrize(
    "headers",
    [
        RIGHT,
        {"X-API-Key": SECRET},
        {"authorization": f"bearer  {SECRET}"},
        {**RIGHT, "X-API-Key": SECRET},
        {"Authorization": "Basic eDp5", "X-API-Key": SECRET},
    ],
)
def test_a_right_key_comes_in(client: TestClient, headers: dict[str, str]) -> None:
    answer = client.post("/predict/m", content=b"12345", headers=headers)
    assert (answer.status_code, answer.json()["bytes"], answer.json()["caller"]) == (200, 5, "ward")


def test_the_application_never_has_the_key(client: TestClient) -> None:
    assert SECRET not in client.post("/predict/m", headers={**RIGHT, "X-API-Key": SECRET}).text


@pytest.mark.parametrize("headers", [{"Authorization": f"Bearer {SECRET}x"}, {**RIGHT, "X-API-Key": OTHER},
                                     {"Authorization": f"Bearer {SECRET[:-1]}"}, {"X-API-Key": "x" * 20_000},
                                     {"X-API-Key": "a.b.c"}, {"X-API-Key": "\xff\xfe"}])  # fmt: skip
def test_wrong_keys_are_told_the_same(client: TestClient, headers: dict[str, str]) -> None:
    encoded = {name: value.encode("latin-1") for name, value in headers.items()}
    answer, other = (
        client.get("/model-info", headers=encoded),
        client.get("/drift", headers={"X-API-Key": "x"}),
    )
    assert answer.status_code == 401
    assert answer.content == other.content
    assert answer.json()["code"] == "bad_key"
    assert answer.headers["www-authenticate"] == 'Bearer realm="medserve", error="invalid_token"'
    assert answer.headers["content-type"] == "application/problem+json"


def test_no_key_is_told_so(client: TestClient) -> None:
    answer = client.get("/model-info")
    assert (answer.status_code, answer.json()["code"]) == (401, "no_key")
    assert answer.headers["www-authenticate"] == 'Bearer realm="medserve"'
    assert answer.json().keys() == {"type", "title", "status", "detail", "code"}


@pytest.mark.parametrize("target", ["/", "/page/main.js", "/page/tokens.css"])
def test_the_page_is_open(keyed: Door, target: str) -> None:
    assert (raw(keyed, "GET", target), raw(keyed, "HEAD", target)) == (200, 200)
    assert raw(keyed, "POST", target) == 401
    assert raw(keyed, "OPTIONS", target) == 401


@pytest.mark.parametrize("target", [
    "/%2e%2e/predict/m", "//predict/m", "/page/../predict/m", "/page/%2e%2e/predict/m", "/page/..%2fpredict/m", "/page",
    "/page/", "/page//metrics", "/page/./metrics", "/./metrics", "/%6detrics", "/metrics%00", "/metrics/", "/page/a;b",
    "/page/x/../../metrics", "/page%2fmain.js", "/PAGE/main.js", "/openapi.json", "/openapi.json/", "/?/page/x", "//",
    "/\\page/main.js", "/page/\\..\\metrics", "/page/x%0d%0a", "/metrics#/page/x", "/metrics?/page/x", "/nowhere",
])  # fmt: skip
def test_no_way_round(keyed: Door, target: str) -> None:
    expected = 200 if target == "/?/page/x" else 401
    for method in ("GET", "HEAD", "OPTIONS", "POST", "PUT", "DELETE", "TRACE", "PROPFIND"):
        allowed = {expected if method in ("GET", "HEAD") else 401, 400}  # 400: uvicorn's, of what is no HTTP
        assert raw(keyed, method, target) in allowed, method


def test_headers_that_proxies_believe_are_no_way_round(keyed: Door) -> None:
    for name in ("X-Original-URL", "X-Rewrite-URL", "X-Forwarded-Prefix", "X-HTTP-Method-Override", "X-Forwarded-For"):
        assert raw(keyed, "GET", "/metrics", **{name.replace("-", "_"): "/"}) == 401


def test_an_absolute_target_is_no_way_round(keyed: Door) -> None:
    assert raw(keyed, "GET", f"{URL}/metrics") == 401
    assert raw(keyed, "GET", "http://x/page/main.js/../../metrics") == 401


def test_a_second_request_of_the_same_connection_is_asked_too(keyed: Door) -> None:
    """Pipelined: the first is right, the second has no key."""
    first = f"GET /model-info HTTP/1.1\r\nHost: x\r\nX-API-Key: {SECRET}\r\n\r\n"
    second = "GET /model-info HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    answer = exchanged(keyed, (first + second).encode())
    assert answer.count(b"HTTP/1.1 200") == 1
    assert answer.count(b"HTTP/1.1 401") == 1


async def _websocket(app: object, path: str) -> list[dict]:
    sent: list[dict] = []

    async def receive() -> dict:
        return {"type": "websocket.connect"}

    async def send(message: dict) -> None:
        sent.append(message)

    await app({"type": "websocket", "path": path, "headers": [], "state": {}}, receive, send)
    return sent


def test_websockets_are_closed_before_they_open(keyed: Door) -> None:
    for path in ("/", "/page/main.js", "/predict/m"):
        assert [one["type"] for one in asyncio.run(_websocket(keyed.app, path))] == ["websocket.close"]


def test_a_root_path_opens_nothing() -> None:
    """Mounted below /page, the application's own routes are not the page's."""
    transport = httpx.ASGITransport(door(KEYED).app, root_path="/page")

    async def asked(path: str) -> int:
        async with httpx.AsyncClient(transport=transport, base_url="http://x") as client:
            return (await client.get(path)).status_code

    assert asyncio.run(asked("/page/model-info")) == 401
    assert asyncio.run(asked("/page/page/main.js")) == 200


def test_scopes_open_their_routes(client: TestClient) -> None:
    narrow = {"X-API-Key": OTHER}
    assert client.get("/drift", headers=narrow).status_code == 200
    for way in ("/metrics", "/metrics/", "//metrics", "/%6detrics"):
        answer = client.get(URL + way, headers=narrow)
        assert (answer.status_code, answer.json()["code"]) == (403, "not_this_route"), way
    assert client.post("/feedback/1", headers=narrow, json={"label": "x"}).status_code == 403
    assert client.post("/predict/a_model", headers=narrow).status_code == 200
    assert client.post("/predict/another", headers=narrow).status_code == 403


@pytest.mark.parametrize(
    ("path", "status"), [("/", 200), ("/page/main.js", 200), ("/model-info", 401), ("/nowhere", 401)]
)
def test_security_headers_are_on_every_answer(client: TestClient, path: str, status: int) -> None:
    answer = client.get(path)
    assert answer.status_code == status
    for name, value in SECURITY_HEADERS.items():
        if name != "Cache-Control":
            assert answer.headers[name] == value, name
    assert len(answer.headers.get_list("content-security-policy")) == 1
    assert answer.headers["cache-control"] == ("no-store" if status == 401 else "no-cache")


def test_security_headers_are_on_failures_too(client: TestClient) -> None:
    for path, status in (("/broken", 500), ("/nowhere", 404), ("/predict/m", 405)):
        answer = client.get(path, headers=RIGHT | {"X-API-Key": SECRET})
        # The small application's own scopes are missing here, but none of these routes asks for one.
        assert (answer.status_code, answer.headers["x-content-type-options"]) == (status, "nosniff")


def test_cors_is_closed(client: TestClient) -> None:
    asked = {"Origin": "https://front.example", "Access-Control-Request-Method": "POST"}
    answer = client.options("/predict/m", headers=asked)
    assert answer.status_code == 401
    answer = client.post("/predict/m", headers=RIGHT | {"Origin": "https://front.example"})
    assert not [name for name in answer.headers if name.startswith("access-control")]


def test_cors_opens_to_whom_it_is_said() -> None:
    client = http(door(AccessSettings(keys=(key(),), cors_origins=("https://front.example",))))
    asked = {"Origin": "https://front.example", "Access-Control-Request-Method": "POST",
             "Access-Control-Request-Headers": "authorization,content-type"}  # fmt: skip
    preflight = client.options("/predict/m", headers=asked)
    assert preflight.status_code == 200
    assert preflight.headers["access-control-allow-origin"] == "https://front.example"
    assert "access-control-allow-credentials" not in preflight.headers
    refused = client.post("/predict/m", headers={"Origin": "https://front.example"})
    assert refused.status_code == 401  # and the page can read why
    assert refused.headers["access-control-allow-origin"] == "https://front.example"
    foreign = client.options("/predict/m", headers=asked | {"Origin": "https://front.example.evil"})
    assert "access-control-allow-origin" not in foreign.headers


def test_where_all_is_open_other_sites_pages_are_not_let_in() -> None:
    free = door(AccessSettings(cors_origins=("https://front.example",)))
    client = http(free)
    cross = {"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"}
    assert client.post("/predict/m", headers=cross).json()["code"] == "foreign_page"
    assert client.get("/", headers=cross).status_code == 200
    assert client.post("/predict/m", headers=cross | {"Origin": "https://front.example"}).status_code == 200
    assert client.post("/predict/m", headers={"Sec-Fetch-Site": "same-origin"}).status_code == 200
    assert client.post("/predict/m").json()["caller"] == ""
    assert client.get("/metrics").status_code == 200


def test_where_all_is_open_other_sites_names_lead_nowhere() -> None:
    """DNS rebinding: to the browser the page and the gateway are then of one site."""

    def status(client: TestClient, host: str, **sent: str) -> int:
        return client.get("/metrics", headers={"Host": host} | sent).status_code

    client = http(door(AccessSettings(hosts=("medserve.hospital.example",))))
    known = ("127.0.0.1:8080", "[::1]:8080", "10.0.0.7", "localhost:8080", "x.localhost", "gateway:8080")
    known += ("localhost.", "127.0.0.1:")
    for host in (*known, "medserve.hospital.example", "MedServe.Hospital.example:443"):
        assert status(client, host) == 200, host
    for host in ("evil.example", "evil.example:8080", "127.0.0.1.evil.example", "1.2.3", "[::1].x"):
        assert status(client, host) == 403, host
    refused = client.get("/metrics", headers={"Host": "evil.example"})
    assert refused.json()["code"] == "foreign_host"
    assert "evil" not in refused.text
    client = http(door(KEYED))
    assert status(client, "any.name.example", **RIGHT) == 403  # by its scope, whatever the name
    assert client.get("/model-info", headers=RIGHT | {"Host": "any.name.example"}).status_code == 200


def test_refusals_are_counted_and_quote_nothing(capfd: pytest.CaptureFixture) -> None:
    behind = door(KEYED)
    client = http(behind)
    client.get("/model-info", headers={"X-API-Key": "planted-wrong-key"})
    client.get("/model-info")
    client.get("/metrics", headers=RIGHT)
    assert behind.metric("medserve_gateway_refused_total", reason="bad_key") == 1
    assert behind.metric("medserve_gateway_refused_total", reason="no_key") == 1
    assert behind.metric("medserve_gateway_refused_total", reason="not_this_route") == 1
    told = behind.metrics() + "".join(behind.said) + "".join(capfd.readouterr()) + repr(KEYED) + repr(KEYED.keys)
    for secret in ("planted-wrong-key", SECRET, key().sha256):
        assert secret not in told


def test_lifespan_reaches_the_application() -> None:
    behind = door(KEYED)

    async def run() -> list[str]:
        messages, sent = iter([{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}]), []

        async def receive() -> dict:
            return next(messages)

        async def send(message: dict) -> None:
            sent.append(message["type"])

        await behind.app({"type": "lifespan", "state": {}}, receive, send)
        return sent

    assert asyncio.run(run()) == ["lifespan.startup.complete", "lifespan.shutdown.complete"]
