"""The hash chain, and the head that says where it begins and ends.

hash of a line = SHA-256(hash of the line before, as 64 hexadecimal digits ‖ the line's bytes), lower-case hexadecimal;
the first line follows 64 zeros. Anybody can check it: `printf %s%s "$before" "$line" | sha256sum`.

Without a key this finds accidents, and whoever alters lines and does not recompute what follows. It does not stop
somebody who can write to the database and knows this page: that person can recompute the chain and the head. What
finds it then is a head noted elsewhere (`medserve audit verify --expect-head`): no recomputed chain contains it.

With a key (AUDIT_KEY) each hash is an HMAC-SHA-256 under it, and so is the head's seal: access to the database alone
neither alters a line nor shortens the chain unseen. Two things are left. Whoever has the key too is the gateway. And
whoever kept an old copy of the whole log, head included, can put it back: again, only a head noted elsewhere tells.
The gateway therefore tells its head in its own log when it starts, when it stops and now and then between.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from dataclasses import dataclass

import msgspec

from gateway.audit.errors import AuditError, ChainBroken
from gateway.audit.lines import canonical

ZERO = "0" * 64
SHORTEST_KEY_BYTES = 16
# No line begins so: a seal never passes for a line's hash, nor the other way round.
_OF_HEADS = b"medserve audit head\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """Both ends of the chain. There is one, replaced with every commit.

    Args:
        first: number of the oldest line kept; 1 until lines are removed by age.
        before: hash of the line before it; zeros where there was none.
        sequence: number of the newest line; 0 where there never was one. Numbers have no gaps.
        hash: of that line.
        method: "sha256" or "hmac-sha256".
    """

    first: int
    before: str
    sequence: int
    hash: str
    method: str

    def __str__(self) -> str:
        """What an operator notes."""
        return f"{self.sequence}:{self.hash}"


class Seal:
    """Computes hashes, with or without a secret.

    Args:
        key: at least 16 bytes; None for plain SHA-256.
    """

    def __init__(self, key: bytes | None = None) -> None:
        if key is not None and len(key) < SHORTEST_KEY_BYTES:
            raise AuditError(
                f"AUDIT_KEY: expected at least {SHORTEST_KEY_BYTES} bytes, got {len(key)}. "
                "`openssl rand -hex 32` makes one"
            )
        self._mac = None if key is None else hmac.new(key, digestmod="sha256")
        self.method = "sha256" if key is None else "hmac-sha256"

    def of_line(self, before: str, line: str) -> str:
        """Args: before: hash of the line before."""
        return self._digest(before.encode(errors="replace") + line.encode(errors="surrogateescape"))

    def of_head(self, line: str) -> str:
        """Args: line: the head's."""
        return self._digest(_OF_HEADS + line.encode(errors="surrogateescape"))

    def open_head(self, line: object, seal: object) -> Head:
        """Raises: ChainBroken: altered, or sealed in another way."""
        if not (isinstance(line, str) and isinstance(seal, str)):
            raise ChainBroken("head", "expected text, found something else")
        head = _head(line)
        if head.method != self.method:
            raise _other_method(head.method, self.method)
        if not hmac.compare_digest(self.of_head(line).encode(), seal.encode(errors="surrogateescape")):
            raise ChainBroken("head", "its seal does not hold: it was altered, or AUDIT_KEY is another one")
        return head

    def _digest(self, content: bytes) -> str:
        if self._mac is None:
            return hashlib.sha256(content).hexdigest()
        mac = self._mac.copy()
        mac.update(content)
        return mac.hexdigest()


def _head(line: str) -> Head:
    try:
        head = msgspec.json.decode(line.encode(errors="surrogateescape"), type=Head)
    except (msgspec.MsgspecError, UnicodeError) as exc:
        raise ChainBroken("head", "expected the head of a chain, found another text") from exc
    if canonical(head) != line:
        raise ChainBroken("head", "expected the head of a chain, found it written otherwise")
    return head


def _other_method(found: str, wanted: str) -> AuditError:
    if wanted == "sha256" and found == "hmac-sha256":
        return AuditError("head: this log is sealed by a key, and none was given. Set AUDIT_KEY or AUDIT_KEY_FILE")
    return ChainBroken(
        "head",
        f"expected {wanted}, found {found}: somebody sealed it anew without the key, or the log was begun without one. "
        "A key cannot be added to a log: verify it without AUDIT_KEY, keep it, and begin another",
    )


def noted(text: str) -> tuple[int | None, str]:
    """A head as an operator noted it → number, hash; the number may be missing.

    Raises:
        AuditError: no head.
    """
    number, _, digest = text.strip().rpartition(":")
    if re.fullmatch(r"[0-9a-f]{64}", digest) and re.fullmatch(r"[0-9]{0,18}", number):
        return (int(number) if number else None), digest
    raise AuditError("expected a head as `medserve audit verify` prints it, NUMBER:HASH, got another text")
