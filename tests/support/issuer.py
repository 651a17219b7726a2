"""An OpenID Connect issuer, in memory or on a real port: discovery, JWKS, and tokens of every kind."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

AUDIENCE = "medserve-gateway"
PRIVATE = {
    "RS256": rsa.generate_private_key(public_exponent=65537, key_size=2048),
    "ES256": ec.generate_private_key(ec.SECP256R1()),
    "EdDSA": ed25519.Ed25519PrivateKey.generate(),
}
PRIVATE["PS256"] = PRIVATE["RS256"]


def jwk(algorithm: str, kid: str, private: Any = None, **fields: Any) -> dict[str, Any]:
    """The public half; without `alg` where fields say alg=None."""
    kind = jwt.get_algorithm_by_name(algorithm)
    found = json.loads(kind.to_jwk((private or PRIVATE[algorithm]).public_key()))
    made = {**found, "kid": kid, "use": "sig", "alg": algorithm, **fields}
    return {name: value for name, value in made.items() if value is not None and name != "key_ops"}


class TestIssuer:
    """What it serves is set by the test; how often it was asked is counted.

    Attributes:
        open: it answers; cleared, it keeps who asks waiting.
    """

    __test__ = False

    def __init__(self) -> None:
        self.keys: list[Any] = [jwk("RS256", "rsa", alg=None), jwk("ES256", "ec"), jwk("EdDSA", "ed")]
        self.discovery: dict[str, Any] = {}
        self.asked: list[str] = []
        self.failing, self.body = False, b""
        self.open = threading.Event()
        self.open.set()
        self.url = ""
        self.at("https://issuer.example")

    def at(self, url: str) -> None:
        """Where it is from now on."""
        self.url = url
        self.discovery = {"issuer": url, "jwks_uri": f"{url}/jwks"}

    def answer(self, path: str) -> tuple[int, bytes]:
        """Status and body."""
        self.asked.append(path)
        told = {"/.well-known/openid-configuration": self.discovery, "/jwks": {"keys": self.keys}}
        return 500 if self.failing else 200, self.body or json.dumps(told.get(path, {})).encode()

    def transport(self) -> httpx.MockTransport:
        """In the place of connections to it."""

        async def handle(request: httpx.Request) -> httpx.Response:
            status, body = self.answer(request.url.path)
            while not self.open.is_set():
                await asyncio.sleep(0.001)
            return httpx.Response(status, content=body)

        return httpx.MockTransport(handle)

    def token(self, algorithm: str = "RS256", kid: str = "rsa", private: Any = None, /, **claims: Any) -> str:
        """A right one, unless told otherwise; a claim that is None is left out."""
        now = time.time()
        right = {"iss": self.url, "aud": AUDIENCE, "sub": "dr-who", "exp": now + 3600, "scope": "openid medserve:*"}
        told = {name: value for name, value in (right | claims).items() if value is not None}
        return jwt.encode(told, private or PRIVATE[algorithm], algorithm, headers={"kid": kid})


@contextmanager
def issuing() -> Iterator[TestIssuer]:
    issuer = TestIssuer()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, body = issuer.answer(self.path)
            issuer.open.wait()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    issuer.at(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield issuer
    finally:
        issuer.open.set()
        server.shutdown()
        thread.join()
        server.server_close()
