"""What the environment may say, and problem documents."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gateway.access import AccessError, AccessSettings, is_open
from gateway.problems import problem, problem_body

HASH = "0" * 64
OIDC = {"GATEWAY_OIDC_ISSUER": "https://login.example/realm", "GATEWAY_OIDC_AUDIENCE": "medserve"}


def test_nothing_said_is_open_and_bounded() -> None:
    found = AccessSettings.from_environment({"GATEWAY_KEYS": "", "GATEWAY_OIDC_ISSUER": ""})
    assert found == AccessSettings()
    assert is_open(found)
    assert found.max_body_bytes == 96 * 1024 * 1024


def test_everything_said() -> None:
    found = AccessSettings.from_environment(
        OIDC
        | {
            "GATEWAY_KEYS_FILE": "/run/secrets/keys.toml",
            "GATEWAY_OIDC_JWKS": "/run/jwks.json",
            "GATEWAY_RATE_PER_S": "2.5",
            "GATEWAY_BURST": "7",
            "GATEWAY_CONCURRENCY": "3",
            "GATEWAY_MOST_AT_ONCE": "9",
            "GATEWAY_MAX_BODY_BYTES": "10",
            "GATEWAY_MAX_BODIES_BYTES": "11",
            "GATEWAY_MIN_BODY_BYTES_PER_S": "12",
            "GATEWAY_MAX_BODY_S": "1.5",
            "GATEWAY_CORS_ORIGINS": "https://a.example, http://localhost:3000",
        }
    )
    assert not is_open(found)
    assert found == AccessSettings(
        keys_file=Path("/run/secrets/keys.toml"),
        oidc_issuer="https://login.example/realm",
        oidc_audience="medserve",
        oidc_jwks="/run/jwks.json",
        rate_per_s=2.5,
        burst=7,
        concurrency=3,
        most_at_once=9,
        max_body_bytes=10,
        max_bodies_bytes=11,
        min_body_bytes_per_s=12,
        max_body_s=1.5,
        cors_origins=("https://a.example", "http://localhost:3000"),
    )


@pytest.mark.parametrize("said", [{"GATEWAY_KEYS_FILE": "x"}, {"GATEWAY_KEYS": f"a:{HASH}"}, OIDC])
def test_each_way_closes_it(said: dict[str, str]) -> None:
    assert not is_open(AccessSettings.from_environment(said))


@pytest.mark.parametrize(
    "said",
    [
        {"GATEWAY_KEYS": " "},
        {"GATEWAY_KEYS": "planted"},
        {"GATEWAY_KEYS": f"a:{HASH}", "GATEWAY_KEYS_FILE": "x"},
        {"GATEWAY_OIDC_ISSUER": "https://x"},
        {"GATEWAY_OIDC_AUDIENCE": "x"},
        {"GATEWAY_OIDC_JWKS": "x"},
        OIDC | {"GATEWAY_OIDC_ISSUER": "http://login.example"},
        OIDC | {"GATEWAY_OIDC_ISSUER": "https://u:planted@login.example"},
        OIDC | {"GATEWAY_OIDC_ISSUER": "login.example"},
        OIDC | {"GATEWAY_OIDC_JWKS": "http://login.example/jwks"},
        OIDC | {"GATEWAY_OIDC_JWKS": "ftp://login.example/jwks"},
        OIDC | {"GATEWAY_OIDC_ISSUER": "https://x:99999"},
        {"GATEWAY_RATE_PER_S": "0"},
        {"GATEWAY_RATE_PER_S": "nan"},
        {"GATEWAY_RATE_PER_S": "inf"},
        {"GATEWAY_RATE_PER_S": "x"},
        {"GATEWAY_BURST": "0"},
        {"GATEWAY_BURST": "-1"},
        {"GATEWAY_BURST": "1.5"},
        {"GATEWAY_BURST": "²"},
        {"GATEWAY_BURST": "9" * 5000},
        {"GATEWAY_CONCURRENCY": "0"},
        {"GATEWAY_MOST_AT_ONCE": "many"},
        {"GATEWAY_MAX_BODY_BYTES": "1M"},
        {"GATEWAY_MAX_BODY_S": "-1"},
        {"GATEWAY_MAX_BODY_BYTES": "1000", "GATEWAY_MAX_BODIES_BYTES": "999"},
        {"GATEWAY_CORS_ORIGINS": "*"},
        {"GATEWAY_CORS_ORIGINS": "https://*.example"},
        {"GATEWAY_CORS_ORIGINS": "https://a.example/"},
        {"GATEWAY_CORS_ORIGINS": "null"},
        {"GATEWAY_CORS_ORIGINS": "a.example"},
        {"GATEWAY_HOSTS": "gateway.example:8080"},
        {"GATEWAY_HOSTS": "https://gateway.example"},
        {"GATEWAY_CORS_ORIGINS": "https://A.example"},
        {"GATEWAY_CORS_ORIGINS": "https://a.example/x"},
    ],
)
def test_what_cannot_be_meant_is_refused_with_a_sentence(said: dict[str, str]) -> None:
    with pytest.raises(AccessError, match=r"GATEWAY_.*expected .*got ") as refused:
        AccessSettings.from_environment(said)
    assert "planted" not in str(refused.value)


def test_problem_documents() -> None:
    body = problem_body(422, "corrupt_image", "A sentence.", index=3)
    assert body == {
        "type": "urn:medserve:corrupt_image",
        "title": "Unprocessable Content",
        "status": 422,
        "detail": "A sentence.",
        "code": "corrupt_image",
        "index": 3,
    }
    answer = problem(503, "overloaded", "Later.", retry_s=0.2)
    assert (answer.status_code, answer.media_type, answer.headers["retry-after"]) == (
        503,
        "application/problem+json",
        "1",
    )
    assert json.loads(answer.body)["title"] == "Service Unavailable"
    assert "retry-after" not in problem(404, "unknown_model", "x").headers
    assert problem(429, "rate_limited", "x", retry_s=1.2).headers["retry-after"] == "2"
