"""Bytes, base64 text and data: URIs are the same file."""

from __future__ import annotations

import base64

import pytest

from preprocess.rejection import Reason, Rejected
from preprocess.transport import MAX_BYTES, file_bytes

FILE = b"\x89PNG\r\n\x1a\n" + bytes(range(256))


@pytest.mark.parametrize(
    "sent",
    [
        FILE,
        base64.b64encode(FILE),
        base64.encodebytes(FILE),
        base64.encodebytes(FILE).replace(b"\n", b"\r\n"),
        b"data:image/png;base64," + base64.b64encode(FILE),
        b"DATA:image/png;charset=x;BASE64," + base64.b64encode(FILE),
    ],
)
def test_all_forms_give_the_file(sent: bytes) -> None:
    assert file_bytes(sent) == FILE


@pytest.mark.parametrize("magic", [b"GIF89a", b"BM", b"RIFF", b"II*\0", b"\xff\xd8\xff\xe0"])
def test_a_file_that_begins_like_text_is_not_taken_for_base64(magic: bytes) -> None:
    content = magic + b"A" * 40 + bytes(100)
    assert file_bytes(content) == content


@pytest.mark.parametrize(
    ("sent", "reason"),
    [
        (b"", Reason.EMPTY),
        (b"data:image/png;base64,", Reason.BAD_BASE64),
        (b"data:image/png", Reason.BAD_BASE64),
        (b"data:image/png,abc", Reason.BAD_BASE64),
        (base64.b64encode(FILE)[:-1], Reason.BAD_BASE64),
        (bytes(MAX_BYTES + 1), Reason.TOO_MANY_BYTES),
        (base64.b64encode(bytes(MAX_BYTES + 1)), Reason.TOO_MANY_BYTES),
        (bytes(2 * MAX_BYTES), Reason.TOO_MANY_BYTES),
    ],
)
def test_refused_with_a_reason(sent: bytes, reason: Reason) -> None:
    with pytest.raises(Rejected) as caught:
        file_bytes(sent)
    assert caught.value.reason is reason
