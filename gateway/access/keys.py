"""API keys: what is known of each, and how it is written down.

Of a key only its SHA-256 is kept. A slow hash such as argon2 makes guessing dear where what is guessed is short; a key
is 256 random bits (`new_key`), which nobody guesses at any speed, and a slow hash at each request would be a gift to
whoever sends wrong keys.

GATEWAY_KEYS_FILE, TOML                          GATEWAY_KEYS, entries separated by spaces
  [[key]]                                          id:sha256[:model,…|*[:scope,…]]
  id = "ward-3"          # in the audit log
  sha256 = "9f2c…"       # of the key, as hex
  models = ["*"]         # or names
  scopes = ["feedback"]  # optional: feedback, metrics, drift
  rate_per_s = 5         # optional, as are burst and concurrency
  expires = 2027-01-01T00:00:00Z   # optional
"""

from __future__ import annotations

import hashlib
import re
import secrets
import tomllib
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated

import msgspec

from gateway.access.caller import SCOPES
from gateway.access.errors import AccessError

PREFIX = "medserve_"  # what scanners for leaked secrets look for
_ID = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}\Z"  # no ":", so that no key passes for a token's subject
_SHA256 = r"^[0-9a-fA-F]{64}\Z"
_POSITION = re.compile(r"\(at [a-z0-9, ]+\)")
_Name = Annotated[str, msgspec.Meta(min_length=1, max_length=128)]
_Count = Annotated[int, msgspec.Meta(ge=1, le=10**6)]


class Key(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One entry; what is None is said by the settings.

    Args:
        id: for logs.
        sha256: of the key, hex.
        models: names, or "*" alone for all.
        scopes: see Caller.
        rate_per_s, burst, concurrency: see Caller.
        expires: after which it is no key.
    """

    id: Annotated[str, msgspec.Meta(pattern=_ID)]
    sha256: Annotated[str, msgspec.Meta(pattern=_SHA256)]
    models: Annotated[tuple[_Name, ...], msgspec.Meta(min_length=1)]
    scopes: tuple[_Name, ...] = ()
    rate_per_s: Annotated[float, msgspec.Meta(gt=0, le=1e6)] | None = None
    burst: _Count | None = None
    concurrency: _Count | None = None
    expires: Annotated[datetime, msgspec.Meta(tz=True)] | None = None

    def __repr__(self) -> str:
        return f"Key({self.id})"


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    key: Annotated[tuple[Key, ...], msgspec.Meta(min_length=1)]


def read_file(content: bytes) -> tuple[Key, ...]:
    """The keys of a TOML file.

    Raises:
        AccessError: where it is wrong; nothing of its content is quoted.
    """
    try:
        found = msgspec.convert(tomllib.loads(content.decode("utf-8")), _File)
    except UnicodeDecodeError as exc:
        raise AccessError(f"keys: expected UTF-8, got another byte at {exc.start}") from None
    except tomllib.TOMLDecodeError as exc:
        position = _POSITION.search(str(exc))
        raise AccessError(
            f"keys: expected TOML, got something else {position[0] if position else ''}".strip()
        ) from None
    except RecursionError:
        raise AccessError("keys: expected a list of tables, got one nested beyond reason") from None
    except msgspec.ValidationError as exc:
        raise AccessError(f"keys: {_unquoted(exc)}") from None
    return _checked(found.key)


def read_list(text: str) -> tuple[Key, ...]:
    """The keys of GATEWAY_KEYS.

    Raises:
        AccessError: which entry is wrong; nothing of it is quoted.
    """
    found = [_of_entry(number, entry) for number, entry in enumerate(text.split(), 1)]
    if not found:
        raise AccessError("GATEWAY_KEYS: expected id:sha256[:models[:scopes]], got spaces only")
    return _checked(found)


def new_key() -> tuple[str, str]:
    """A key, and its SHA-256."""
    secret = PREFIX + secrets.token_urlsafe(32)
    return secret, hashlib.sha256(secret.encode()).hexdigest()


def _of_entry(number: int, entry: str) -> Key:
    parts = entry.split(":")
    if not 2 <= len(parts) <= 4:
        raise AccessError(f"GATEWAY_KEYS, entry {number}: expected id:sha256[:models[:scopes]], got {len(parts)} parts")
    models, scopes = (parts[2:] + [""] * 2)[:2]
    named = {"id": parts[0], "sha256": parts[1], "models": models.split(",") if models else ["*"]}
    try:
        return msgspec.convert(named | {"scopes": scopes.split(",") if scopes else []}, Key)
    except msgspec.ValidationError as exc:
        raise AccessError(f"GATEWAY_KEYS, entry {number}: {_unquoted(exc)}") from None


def _unquoted(exc: msgspec.ValidationError) -> str:
    """msgspec's sentence, which names types and places; a field that is none may hold anything, so it is left out."""
    sentence = str(exc)
    return "expected no other fields, got one" if "unknown field" in sentence else sentence


def _checked(keys: Sequence[Key]) -> tuple[Key, ...]:
    for what, named in (("ids", [key.id for key in keys]), ("sha256", [key.sha256.lower() for key in keys])):
        if len(set(named)) < len(named):
            twice = next(at for at, one in enumerate(named) if one in named[:at])
            raise AccessError(f"keys: expected different {what}, got an earlier one's in entry {twice + 1}")
    for at, key in enumerate(keys, 1):
        if "*" in key.models and len(key.models) > 1:
            raise AccessError(f"keys, entry {at}: expected `*` or models' names, got both")
        if not SCOPES.issuperset(key.scopes):
            raise AccessError(f"keys, entry {at}: expected scopes of {', '.join(sorted(SCOPES))}, got another")
    return tuple(keys)
