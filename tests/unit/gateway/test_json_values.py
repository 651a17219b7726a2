"""JSON of more values than are worth the memory."""

from __future__ import annotations

import tracemalloc

import msgspec
import pytest

from gateway.json_values import MOST_COMMAS, decoded
from gateway.refusals import Refused


def test_json_of_too_many_values_is_refused_before_it_is_parsed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(msgspec.json, "decode", lambda _: pytest.fail("it was parsed"))
    body = b"[" + b"[]," * 1_000_000 + b"[]]"
    tracemalloc.start()
    try:
        with pytest.raises(Refused, match="at most") as refused:
            decoded(body)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert refused.value.code == "too_many_values"
    assert peak < 1 << 20


def test_json_of_as_many_values_as_may_be_is_read() -> None:
    assert len(decoded(b"[" + b"1," * MOST_COMMAS + b"1]")) == MOST_COMMAS + 1
