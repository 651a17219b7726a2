"""Tokens of an issuer on a real port."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import httpx
import pytest
from prometheus_client import CollectorRegistry, Counter

from gateway.access import AccessSettings
from gateway.access.issuer import Issuer
from gateway.access.keyring import Defaults
from gateway.access.tokens import Tokens
from tests.support.access_app import SECRET, Door, answered_without_a_key, door, key, serving
from tests.support.issuer import AUDIENCE, TestIssuer, issuing

PATIENCE_S = 120


@pytest.fixture
def issuer() -> Iterator[TestIssuer]:
    with issuing() as issuer:
        yield issuer


def tokens_of(issuer: TestIssuer, said: list[str], jwks: str | None = None) -> Tokens:
    """Whose keys are fetched again whenever an unknown one is named."""
    failures = Counter("failures", "x", registry=CollectorRegistry())
    keys = Issuer(issuer.url, jwks, failures, said.append, refetch_s=0.0)
    return Tokens(keys, issuer.url, AUDIENCE, Defaults())


def test_a_url_of_keys(issuer: TestIssuer) -> None:
    assert asyncio.run(tokens_of(issuer, [], f"{issuer.url}/jwks").find(issuer.token()))
    assert issuer.asked == ["/jwks"]


def test_a_slow_issuer_does_not_block_the_loop(issuer: TestIssuer) -> None:
    """It answers only when a task of the same loop lets it."""

    async def run() -> bool:
        issuer.open.clear()
        finding = asyncio.create_task(tokens_of(issuer, []).find(issuer.token()))
        while not issuer.asked:
            await asyncio.sleep(0.01)
        issuer.open.set()
        return await finding is not None

    assert asyncio.run(run())


def test_an_issuer_that_is_gone_keeps_the_known_keys(issuer: TestIssuer) -> None:
    said: list[str] = []

    async def run() -> None:
        tokens = tokens_of(issuer, said)
        assert await tokens.find(issuer.token())
        issuer.discovery |= {"jwks_uri": "http://127.0.0.1:1/jwks"}
        assert await tokens.find(issuer.token("RS256", "unknown")) is None
        assert await tokens.find(issuer.token())

    asyncio.run(run())
    (sentence,) = said
    assert "connection" in sentence


@pytest.fixture
def behind(issuer: TestIssuer) -> Door:
    return door(AccessSettings(keys=(key(),), oidc_issuer=issuer.url, oidc_audience=AUDIENCE))


def test_keys_and_tokens_come_in_by_the_same_door(
    issuer: TestIssuer, behind: Door, capfd: pytest.CaptureFixture
) -> None:
    token = issuer.token()
    with serving(behind.app) as url, httpx.Client(base_url=url, timeout=PATIENCE_S) as client:
        answer = client.post("/predict/m", headers={"Authorization": f"Bearer {token}"})
        assert answer.json()["caller"] == "oidc:dr-who"
        assert token not in answer.text
        assert client.post("/predict/m", headers={"X-API-Key": SECRET}).json()["caller"] == "ward"
        narrow = {"Authorization": f"Bearer {issuer.token(scope='medserve:other')}"}
        assert client.post("/predict/m", headers=narrow).status_code == 403
        assert client.get("/metrics", headers=narrow).json()["code"] == "not_this_route"
        expired = client.get("/model-info", headers={"Authorization": f"Bearer {issuer.token(exp=1)}"})
        unknown = client.get("/model-info", headers={"X-API-Key": "unknown"})
        assert (expired.status_code, expired.content) == (401, unknown.content)
        assert answered_without_a_key(client, behind.inner.openapi()) == []
    told = behind.metrics() + "".join(behind.said) + "".join(capfd.readouterr())
    assert token.split(".")[2] not in told


def test_an_issuer_that_was_never_reached_is_no_ones_wrong_key(issuer: TestIssuer, behind: Door) -> None:
    issuer.failing = True
    with serving(behind.app) as url, httpx.Client(base_url=url, timeout=PATIENCE_S) as client:
        answer = client.get("/model-info", headers={"Authorization": f"Bearer {issuer.token()}"})
        assert (answer.status_code, answer.json()["code"], answer.headers["retry-after"]) == (503, "no_issuer", "1")
        assert client.get("/model-info", headers={"X-API-Key": SECRET}).status_code == 200
    assert len(behind.said) == 1
    assert behind.metric("medserve_gateway_issuer_failures_total") == 1
