"""What an entry may hold, and that it comes back as it went in."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as some

from gateway.audit import InvalidEntry, lines
from gateway.audit.entry import KINDS, LONGEST, MOST_INPUTS
from tests.support.audit_entries import entry

DIGEST = "0" * 64
REFUSED = {
    "prediction_id": ("", "a" * 31, "A" * 32, "g" * 32, "a" * 32 + "\n", None),
    "kind": ("", "retention", "Answer", None),
    "time": (datetime(2026, 1, 1), datetime(2026, 1, 1, tzinfo=timezone(timedelta(hours=1))), "2026-01-01", None),
    "artefact_sha256": ("0", "F" * 64, DIGEST + "\n", None),
    "latency_s": (-0.001, float("nan"), float("inf"), True, "1", None),
    "input_sha256": ([DIGEST], (DIGEST, "DOE^JOHN"), ("",), DIGEST, (DIGEST,) * (MOST_INPUTS + 1), None),
}
AWKWARD = ("a\nb", "a\0b", "\x1b[31m", "a\u2028b", "\u202eabc", "\ud800", "\x7f", "a\tb", "\u200b", None, 1, b"a")


@pytest.mark.parametrize(("field", "value"), [(field, value) for field, some in REFUSED.items() for value in some])
def test_another_form_is_refused_without_being_repeated(field: str, value: object) -> None:
    with pytest.raises(InvalidEntry, match=field) as caught:
        entry(**{field: value})
    assert "DOE" not in str(caught.value)


@pytest.mark.parametrize("field", LONGEST)
@pytest.mark.parametrize("value", AWKWARD, ids=ascii)
def test_text_that_cannot_be_printed_is_refused(field: str, value: object) -> None:
    with pytest.raises(InvalidEntry, match=field):
        entry(**{field: value})


@pytest.mark.parametrize(("field", "longest"), LONGEST.items())
def test_text_has_a_longest(field: str, longest: int) -> None:
    assert getattr(entry(**{field: "x" * longest}), field) == "x" * longest
    with pytest.raises(InvalidEntry, match=field):
        entry(**{field: "x" * (longest + 1)})


_text = some.text(some.characters(categories=("L", "N", "P", "S")), max_size=64)


@given(
    kind=some.sampled_from(KINDS),
    time=some.datetimes(timezones=some.just(UTC)),
    key=_text,
    outcome=_text,
    latency_s=some.floats(min_value=0, allow_infinity=False, allow_nan=False),
    input_sha256=some.lists(some.just(DIGEST), max_size=4).map(tuple),
)
def test_an_entry_is_one_line_of_ascii_and_comes_back_whole(**fields: object) -> None:
    before = entry(**fields)
    line = lines.canonical(before)
    assert line.isascii()
    assert line.isprintable()
    assert lines.entry(line, "here") == before
    assert lines.canonical(lines.entry(line, "here")) == line
