"""Tokens of an OpenID Connect issuer (JWT): whose they are, and what they allow.

Of a token's `scope`: medserve:<model> or medserve:* for models, medserve-admin:<scope> or medserve-admin:* for Caller's
scopes. A token without any of them is somebody's, who may do nothing.
"""

from __future__ import annotations

import hashlib
from typing import Any

import jwt

from gateway.access.caller import SCOPES, Caller, models_of
from gateway.access.issuer import Issuer
from gateway.access.keyring import Defaults

# What is checked by a public key. With HS256 that public key would be the secret ("algorithm confusion").
ALGORITHMS = ("RS256", "PS256", "ES256", "EdDSA")
LEEWAY_S = 30.0
# Beside these, nbf and iat are checked where they stand: many issuers leave nbf out, as RFC 9068 does.
REQUIRED = ["exp", "iss", "aud", "sub"]
_MODELS, _ADMIN = "medserve:", "medserve-admin:"
_LONGEST_SUBJECT = 100
_WRONG = (jwt.PyJWTError, ValueError, TypeError, OverflowError, RecursionError)


class Tokens:
    """Of one issuer, for one audience.

    Args:
        issuer: whose keys sign.
        name: the issuer, as `iss` says.
        audience: this gateway, as `aud` says.
        defaults: limits of who has a token.
    """

    def __init__(self, issuer: Issuer, name: str, audience: str, defaults: Defaults) -> None:
        self._issuer, self._name, self._audience, self._defaults = issuer, name, audience, defaults

    async def find(self, token: str) -> Caller | None:
        """The caller with this token; None of one that is wrong, whatever is wrong with it.

        Raises:
            NotVouched: nobody can say now.
        """
        try:
            header = jwt.get_unverified_header(token)
        except _WRONG:
            return None
        algorithm, kid = header.get("alg"), header.get("kid")
        if algorithm not in ALGORITHMS or not isinstance(kid, str):
            return None
        key = await self._issuer.key(kid, algorithm)
        return None if key is None else self._checked(token, key, algorithm)

    def _checked(self, token: str, key: jwt.PyJWK, algorithm: str) -> Caller | None:
        try:
            claims = jwt.decode(
                token,
                key,
                algorithms=[algorithm],
                audience=self._audience,
                issuer=self._name,
                leeway=LEEWAY_S,
                options={"require": REQUIRED},
            )
        except _WRONG:
            return None
        return self._caller(claims)

    def _caller(self, claims: dict[str, Any]) -> Caller:
        scope = claims.get("scope")
        told = scope.split(" ") if isinstance(scope, str) else []
        models = [one.removeprefix(_MODELS) for one in told if one.startswith(_MODELS)]
        admin = frozenset(one.removeprefix(_ADMIN) for one in told if one.startswith(_ADMIN))
        return Caller(
            id=_id(claims["sub"]),
            models=models_of(models),
            scopes=SCOPES if "*" in admin else admin & SCOPES,
            rate_per_s=self._defaults.rate_per_s,
            burst=self._defaults.burst,
            concurrency=self._defaults.concurrency,
        )


def _id(subject: str) -> str:
    """A line for the audit log, whatever the subject is. No key's id holds a colon."""
    plain = subject.isascii() and subject.isprintable() and 0 < len(subject) <= _LONGEST_SUBJECT
    return f"oidc:{subject if plain else hashlib.sha256(subject.encode('utf-8', 'surrogatepass')).hexdigest()}"
