"""Tokens: whose are believed, whose are not, and what an issuer's bad day changes."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from prometheus_client import CollectorRegistry, Counter

from gateway.access.errors import NotVouched
from gateway.access.issuer import REFETCH_S, STALE_S, FetchFailed, Issuer, usable_keys
from gateway.access.keyring import Defaults
from gateway.access.tokens import Tokens
from tests.support.clock import Clock
from tests.support.issuer import AUDIENCE, PRIVATE, TestIssuer, jwk

SENTENCES = {
    "failing": "status 200",
    "rubbish": "JSON object",
    "empty": "discovery document",
    "huge": "at most",
    "other issuer": "another issuer",
    "redirect": "jwks_uri",
    "unsafe": "jwks_uri",
}
OTHER_RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)


@pytest.fixture
def issuer() -> TestIssuer:
    return TestIssuer()


@pytest.fixture
def made(issuer: TestIssuer) -> Callable[..., Tokens]:
    """Tokens of the issuer; `.said` and `.failures` say what went wrong, `.clock` is theirs."""

    def make(jwks: str | None = None) -> Tokens:
        said, clock = list[str](), Clock()
        failures = Counter("failures", "x", registry=CollectorRegistry())
        keys = Issuer(issuer.url, jwks, failures, said.append, clock=clock, transport=issuer.transport())
        tokens = Tokens(keys, issuer.url, AUDIENCE, Defaults())
        tokens.said, tokens.clock, tokens.failures = said, clock, lambda: failures._value.get()
        return tokens

    return make


def b64(value: Any) -> str:
    content = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


# ── whose are believed ─────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("algorithm", "kid"), [("RS256", "rsa"), ("PS256", "rsa"), ("ES256", "ec"), ("EdDSA", "ed")])
def test_right_tokens(issuer: TestIssuer, made: Callable[..., Tokens], algorithm: str, kid: str) -> None:
    caller = asyncio.run(made().find(issuer.token(algorithm, kid)))
    assert (caller.id, caller.models, caller.scopes) == ("oidc:dr-who", None, frozenset())


@pytest.mark.parametrize(
    ("scope", "models", "scopes"),
    [
        ("medserve:a medserve:b openid", {"a", "b"}, set()),
        ("medserve:* medserve:a", None, set()),
        ("openid", set(), set()),
        (None, set(), set()),
        (["medserve:*"], set(), set()),
        ("medserve-admin:drift medserve-admin:root", set(), {"drift"}),
        ("medserve-admin:*", set(), {"drift", "feedback", "metrics"}),
        ("xmedserve:* medserve :*", set(), set()),
    ],
)
def test_scopes(issuer: TestIssuer, made: Callable[..., Tokens], scope: Any, models: set | None, scopes: set) -> None:
    caller = asyncio.run(made().find(issuer.token(scope=scope)))
    assert caller.models == models
    assert caller.scopes == scopes


def test_subjects_become_a_line_of_the_audit_log(issuer: TestIssuer, made: Callable[..., Tokens]) -> None:
    for subject in ("", "ü", "x" * 101, "a\nb", "\x00"):
        caller = asyncio.run(made().find(issuer.token(sub=subject)))
        assert caller.id == f"oidc:{hashlib.sha256(subject.encode()).hexdigest()}"
        assert len(caller.id) <= 128


@pytest.mark.parametrize(
    "claims",
    [
        {"exp": 1},
        {"exp": None},
        {"exp": "soon"},
        {"nbf": 4e9},
        {"nbf": "x"},
        {"iat": 4e9},
        {"iss": None},
        {"iss": "https://evil.example"},
        {"iss": ["x"]},
        {"aud": None},
        {"aud": "another"},
        {"aud": ["another"]},
        {"aud": {}},
        {"sub": None},
        {"exp": float("inf")},
        {"exp": float("nan")},
        {"exp": -1e400},
        {"exp": True},
        {"exp": 10**400 * -1},
    ],
)
def test_wrong_claims(issuer: TestIssuer, made: Callable[..., Tokens], claims: dict[str, Any]) -> None:
    assert asyncio.run(made().find(_signed(issuer, claims))) is None


def _signed(issuer: TestIssuer, claims: dict[str, Any]) -> str:
    """As PyJWT would not make it: it refuses some of these itself."""
    right = {"iss": issuer.url, "aud": AUDIENCE, "sub": "x", "exp": time.time() + 3600}
    told = {name: value for name, value in (right | claims).items() if value is not None}
    head = b64({"alg": "RS256", "kid": "rsa"}) + "." + b64(told)
    signature = jwt.get_algorithm_by_name("RS256").sign(head.encode(), PRIVATE["RS256"])
    return f"{head}.{b64(signature)}"


def test_that_those_are_refused_for_their_claims_alone(issuer: TestIssuer, made: Callable[..., Tokens]) -> None:
    assert asyncio.run(made().find(_signed(issuer, {}))) is not None
    assert (
        asyncio.run(made().find(_signed(issuer, {"exp": time.time() - 5, "nbf": time.time() + 5}))) is not None
    )  # leeway
    assert asyncio.run(made().find(_signed(issuer, {"aud": ["x", AUDIENCE]}))) is not None


def forged(issuer: TestIssuer) -> dict[str, str]:
    """Tokens that somebody makes who has the public keys and no private one."""
    pem = (
        PRIVATE["RS256"]
        .public_key()
        .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    )
    right = issuer.token()
    head, body, signature = right.split(".")

    def hs256(secret: bytes, kid: str = "rsa") -> str:
        text = f"{b64({'alg': 'HS256', 'kid': kid})}.{body}"
        return f"{text}.{b64(hmac.new(secret, text.encode(), 'sha256').digest())}"

    stranger = jwt.encode(
        {**jwt.decode(right, options={"verify_signature": False})}, OTHER_RSA, "RS256", {"kid": "rsa"}
    )
    own = jwk("RS256", "rsa", OTHER_RSA)
    return {
        "none": f"{b64({'alg': 'none', 'kid': 'rsa'})}.{body}.",
        "None": f"{b64({'alg': 'None', 'kid': 'rsa'})}.{body}.",
        "public key as secret": hs256(pem),
        "JWK as secret": hs256(json.dumps(issuer.keys[0]).encode()),
        "oct key of the JWKS": hs256(b"s" * 32, "oct"),
        "no signature": f"{head}.{body}.",
        "another's signature": f"{head}.{body}.{stranger.split('.')[2]}",
        "another's key": stranger,
        "its own key in the header": jwt.encode({"sub": "x"}, OTHER_RSA, "RS256", {"kid": "rsa", "jwk": own}),
        "another place for keys": jwt.encode(
            {"sub": "x"}, OTHER_RSA, "RS256", {"kid": "rsa", "jku": f"{issuer.url}/evil"}
        ),
        "altered body": f"{head}.{b64({'iss': issuer.url, 'aud': AUDIENCE, 'sub': 'root', 'exp': 9e9})}.{signature}",
        "another key's name": issuer.token("RS256", "ec"),
        "ES256 by the RSA key's name": issuer.token("ES256", "rsa"),
        "no kid": f"{b64({'alg': 'RS256'})}.{body}.{signature}",
        "a list as kid": f"{b64({'alg': 'RS256', 'kid': ['rsa']})}.{body}.{signature}",
        "a list as alg": f"{b64({'alg': ['RS256'], 'kid': 'rsa'})}.{body}.{signature}",
        "critical": jwt.encode(
            jwt.decode(right, options={"verify_signature": False}),
            PRIVATE["RS256"],
            "RS256",
            {"kid": "rsa", "crit": ["x"], "x": 1},
        ),
        "empty": "..",
        "dots": ".....",
        "not base64": "ä.ö.ü",
        "a list": f"{b64([])}.{b64([])}.",
        "spaces": " . . ",
        "deep": f"{b64(b'[' * 5000)}.{body}.{signature}",
        "deep body": f"{head}.{b64(b'[' * 5000)}.{signature}",
        "surrogates": "\udcff.\udcff.\udcff",
        "padded": f"{head}=.{body}.{signature}",
    }


def test_forged_tokens(issuer: TestIssuer, made: Callable[..., Tokens]) -> None:
    issuer.keys.append({"kty": "oct", "k": b64(b"s" * 32), "kid": "oct", "alg": "HS256"})
    tokens = made()
    assert asyncio.run(tokens.find(issuer.token())) is not None
    let_in = [name for name, token in forged(issuer).items() if asyncio.run(tokens.find(token)) is not None]
    assert let_in == []
    assert issuer.asked.count("/evil") == 0


def test_which_keys_of_a_jwks_are_used() -> None:
    weak = rsa.generate_private_key(public_exponent=65537, key_size=1024)
    p384 = ec.generate_private_key(ec.SECP384R1())
    private = json.loads(jwt.get_algorithm_by_name("RS256").to_jwk(OTHER_RSA)) | {
        "kid": "private",
        "key_ops": ["verify"],
    }
    junk: list[Any] = [
        None,
        1,
        "x",
        [],
        {},
        {"kty": "RSA", "kid": "x"},
        {"kty": "RSA", "kid": "x", "n": 5, "e": []},
        {"kty": "EC", "crv": "P-256", "kid": "x", "x": "A", "y": None},
        {"kty": "OKP", "crv": "Ed25519", "kid": "x", "x": "A"},
        {"kty": ["RSA"], "kid": "x"},
        {"kty": "RSA", "kid": ["x"]},
        jwk("RS256", "enc", use="enc"),
        private,
        jwk("RS256", "weak", weak),
        jwk("RS256", "hs", alg="HS256"),
        jwk("ES256", "p384", p384, alg=None),
        {**jwk("RS256", "wrap"), "key_ops": ["wrapKey"]},
    ]
    found = usable_keys(json.dumps({"keys": [*junk, jwk("RS256", "r"), jwk("RS256", "any", alg=None)]}).encode())
    assert found.keys() == {("r", "RS256"), ("any", "RS256"), ("any", "PS256")}
    for content in (b"", b"[]", b"{}", b'{"keys": {}}', json.dumps({"keys": junk}).encode(), b"[" * 10**5, b"\xff"):
        with pytest.raises(FetchFailed):
            usable_keys(content)


# ── the issuer's days ──────────────────────────────────────────────────────────────────────────────────────────────


async def fetched(tokens: Tokens) -> None:
    """Wait until the keys that are being fetched beside the requests are there."""
    while tokens._issuer._fetching is not None:
        await asyncio.sleep(0)


def test_new_keys_are_found_and_old_ones_forgotten(issuer: TestIssuer, made: Callable[..., Tokens]) -> None:
    async def run() -> None:
        tokens, old = made(), issuer.token()
        assert await tokens.find(old)
        issuer.keys = [jwk("RS256", "new", OTHER_RSA)]
        tokens.clock.advance(REFETCH_S)
        assert await tokens.find(issuer.token("RS256", "new", OTHER_RSA))
        assert await tokens.find(old) is None

    asyncio.run(run())


def test_a_revoked_key_is_forgotten_without_a_new_one_being_shown(
    issuer: TestIssuer, made: Callable[..., Tokens]
) -> None:
    async def run() -> None:
        tokens, token = made(), issuer.token()
        assert await tokens.find(token)
        issuer.keys = [jwk("RS256", "new", OTHER_RSA)]
        tokens.clock.advance(STALE_S)
        assert await tokens.find(token)  # it starts the look, and need not wait for it
        await fetched(tokens)
        assert await tokens.find(token) is None

    asyncio.run(run())


def test_unknown_keys_do_not_make_us_ask_at_each_request(issuer: TestIssuer, made: Callable[..., Tokens]) -> None:
    async def run() -> None:
        tokens = made()
        assert await tokens.find(issuer.token())
        forged = [issuer.token("RS256", f"unknown-{number}", OTHER_RSA) for number in range(50)]
        tokens.clock.advance(REFETCH_S - 0.01)
        assert not any(await asyncio.gather(*(tokens.find(token) for token in forged)))
        assert issuer.asked == ["/.well-known/openid-configuration", "/jwks"]
        tokens.clock.advance(0.01)
        assert not any(await asyncio.gather(*(tokens.find(token) for token in forged)))
        assert len(issuer.asked) == 4

    asyncio.run(run())


def test_many_at_once_ask_the_issuer_once(issuer: TestIssuer, made: Callable[..., Tokens]) -> None:
    async def run() -> None:
        tokens, token = made(), issuer.token()
        assert all(await asyncio.gather(*(tokens.find(token) for _ in range(50))))

    asyncio.run(run())
    assert len(issuer.asked) == 2


def test_one_who_goes_away_does_not_end_the_others_waiting(issuer: TestIssuer, made: Callable[..., Tokens]) -> None:
    async def run() -> None:
        issuer.open.clear()
        tokens, token = made(), issuer.token()
        first, second = (asyncio.create_task(tokens.find(token)) for _ in range(2))
        while not issuer.asked:
            await asyncio.sleep(0)
        first.cancel()
        issuer.open.set()
        assert await second is not None

    asyncio.run(run())


@pytest.mark.parametrize("trouble", ["failing", "rubbish", "empty", "huge", "other issuer", "redirect", "unsafe"])
def test_a_failing_issuer_keeps_the_known_keys(issuer: TestIssuer, made: Callable[..., Tokens], trouble: str) -> None:
    async def run() -> None:
        tokens = made()
        assert await tokens.find(issuer.token())
        right = dict(issuer.discovery)
        if trouble == "failing":
            issuer.failing = True
        elif trouble in ("unsafe", "redirect"):
            where = {"unsafe": "http://evil.example/jwks", "redirect": "file:///etc/passwd"}
            issuer.discovery = right | {"jwks_uri": where[trouble]}
        elif trouble == "other issuer":
            issuer.discovery = right | {"issuer": "https://evil.example"}
        else:
            issuer.body = {"rubbish": b"<html>", "empty": b'{"keys": []}', "huge": b" " * (2 << 20)}[trouble]
        for _ in range(3):
            tokens.clock.advance(STALE_S)
            assert await tokens.find(issuer.token())
            assert await tokens.find(issuer.token("RS256", "unknown", OTHER_RSA)) is None
        assert tokens.failures() == 3
        assert len(tokens.said) == 1
        assert SENTENCES[trouble] in tokens.said[0]

    asyncio.run(run())


def test_while_no_keys_were_ever_got_nobody_is_called_wrong(issuer: TestIssuer, made: Callable[..., Tokens]) -> None:
    async def run() -> None:
        issuer.failing = True
        tokens = made()
        for _ in range(20):
            with pytest.raises(NotVouched):
                await tokens.find(issuer.token())
        assert len(issuer.asked) == 1  # no more than a failing issuer can bear
        issuer.failing = False
        tokens.clock.advance(REFETCH_S)
        assert await tokens.find(issuer.token())

    asyncio.run(run())


def test_a_file_of_keys(issuer: TestIssuer, made: Callable[..., Tokens], tmp_path: Path) -> None:
    async def run() -> None:
        tokens = made(str(tmp_path / "jwks.json"))
        with pytest.raises(NotVouched):
            await tokens.find(issuer.token())
        (tmp_path / "jwks.json").write_text(json.dumps({"keys": issuer.keys}))
        tokens.clock.advance(REFETCH_S)
        assert await tokens.find(issuer.token())

    asyncio.run(run())
    assert issuer.asked == []


def test_a_url_of_keys(issuer: TestIssuer, made: Callable[..., Tokens]) -> None:
    assert asyncio.run(made(f"{issuer.url}/jwks").find(issuer.token()))
    assert issuer.asked == ["/jwks"]
