"""How a file's bytes may travel: as they are, as base64 text, or as a `data:` URI.

Triton's `generate` endpoint takes JSON, and JSON has no bytes.
"""

from __future__ import annotations

import base64
import binascii
import re

from preprocess.rejection import Reason, Rejected

MAX_BYTES = 32 * 1024 * 1024
_LOOKS_LIKE_TEXT = re.compile(rb"[A-Za-z0-9+/\r\n]{16}")
_BASE64 = re.compile(rb"[A-Za-z0-9+/\r\n]+={0,2}[\r\n]*")


def file_bytes(sent: bytes) -> bytes:
    """The file's own bytes.

    Base64 is recognised by being nothing else: no image format begins with 16 characters of its
    alphabet and goes on in it to the end.

    Raises:
        Rejected: empty, over MAX_BYTES, or a `data:` URI that is not base64.
    """
    if not sent:
        raise Rejected(Reason.EMPTY, "expected a file, got zero bytes")
    if len(sent) > MAX_BYTES * 4 // 3 + 1024:
        raise _too_large(len(sent))
    if sent[:5].lower() == b"data:":
        content = _from_data_uri(sent.rstrip())
    elif _LOOKS_LIKE_TEXT.match(sent) and _BASE64.fullmatch(sent):
        content = _decoded(sent)
    else:
        content = sent
    if not content:
        raise Rejected(Reason.EMPTY, "expected a file, got the encoding of zero bytes")
    if len(content) > MAX_BYTES:
        raise _too_large(len(content))
    return content


def _from_data_uri(sent: bytes) -> bytes:
    header, comma, payload = sent.partition(b",")
    if not comma or not header.lower().endswith(b";base64") or not _BASE64.fullmatch(payload):
        raise Rejected(
            Reason.BAD_BASE64, "data: URI: expected data:<media type>;base64,<base64 text>, got another form"
        )
    return _decoded(payload)


def _decoded(text: bytes) -> bytes:
    try:
        return base64.b64decode(text)
    except binascii.Error as exc:
        raise Rejected(
            Reason.BAD_BASE64, "expected whole base64 text, got a length or padding that cannot be; was it cut?"
        ) from exc


def _too_large(size: int) -> Rejected:
    return Rejected(Reason.TOO_MANY_BYTES, f"expected at most {MAX_BYTES:,} bytes, got {size:,}")
