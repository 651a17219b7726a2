"""An OpenID Connect issuer on a real port: discovery, JWKS, and tokens of every kind."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

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
    """What it serves is set by the test; how often it was asked is counted."""

    __test__ = False

    def __init__(self) -> None:
        self.keys: list[Any] = [jwk("RS256", "rsa", alg=None), jwk("ES256", "ec"), jwk("EdDSA", "ed")]
        self.discovery: dict[str, Any] = {}
        self.asked: list[str] = []
        self.failing, self.delay_s, self.body = False, 0.0, b""
        self.url = ""

    def token(self, algorithm: str = "RS256", kid: str = "rsa", private: Any = None, /, **claims: Any) -> str:
        """A right one, unless told otherwise; a claim that is None is left out."""
        now = time.time()
        right = {"iss": self.url, "aud": AUDIENCE, "sub": "dr-who", "exp": now + 60, "scope": "openid medserve:*"}
        told = {name: value for name, value in (right | claims).items() if value is not None}
        return jwt.encode(told, private or PRIVATE[algorithm], algorithm, headers={"kid": kid})


@contextmanager
def issuing() -> Iterator[TestIssuer]:
    issuer = TestIssuer()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            issuer.asked.append(self.path)
            time.sleep(issuer.delay_s)
            told = {"/.well-known/openid-configuration": issuer.discovery, "/jwks": {"keys": issuer.keys}}
            body = issuer.body or json.dumps(told.get(self.path, {})).encode()
            self.send_response(500 if issuer.failing else 200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    issuer.url = f"http://127.0.0.1:{server.server_port}"
    issuer.discovery = {"issuer": issuer.url, "jwks_uri": f"{issuer.url}/jwks"}
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield issuer
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
