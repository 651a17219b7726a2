"""What is kept of one event: digests and names that the server gave, nothing that a caller wrote about a patient."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from datetime import datetime, timedelta

from gateway.audit.errors import InvalidEntry

KINDS = ("answer", "refusal", "error", "shadow", "feedback")
LONGEST = {"key": 128, "model": 128, "version": 64, "artefact": 256, "preprocessing": 128, "outcome": 256, "route": 64}
MOST_INPUTS = 64
_ID = re.compile(r"[0-9a-f]{32}")
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One event. There are no other fields, and these take no text that could carry a name out of a file.

    Args:
        prediction_id: 32 lower-case hexadecimal digits; of a shadow or feedback, those of the answer it belongs to.
        kind: one of `KINDS`.
        time: UTC.
        key: id of the caller's key, never the key; "" where none is needed.
        model: its name at the server.
        version: Triton's; "" where nothing answered.
        artefact: file name of the network that ran; "" where none did.
        artefact_sha256: of that file, 64 hexadecimal digits; "" where none ran.
        preprocessing: version of the step that read the input.
        outcome: the label, the number as text, or the reason code.
        latency_s: from the request to the answer.
        input_sha256: of each input's bytes as sent, in the model's order; empty where none was read.
        route: which of several versions answered: "a", "canary".

    Raises:
        InvalidEntry: a field is too long, of another form, or holds what cannot be printed. The message names the
            field, never its content.
    """

    prediction_id: str
    kind: str
    time: datetime
    key: str
    model: str
    version: str
    artefact: str
    artefact_sha256: str
    preprocessing: str
    outcome: str
    latency_s: float
    input_sha256: tuple[str, ...]
    route: str = ""

    def __post_init__(self) -> None:
        _expect(_is(_ID, self.prediction_id), "prediction_id", "32 lower-case hexadecimal digits")
        _expect(self.kind in KINDS, "kind", f"one of {', '.join(KINDS)}")
        _expect(isinstance(self.time, datetime) and self.time.utcoffset() == timedelta(0), "time", "a time in UTC")
        for field, longest in LONGEST.items():
            _expect(
                is_recordable(field, getattr(self, field)), field, f"printable text of {longest} characters at most"
            )
        _expect(self.artefact_sha256 == "" or _is(_SHA256, self.artefact_sha256), "artefact_sha256", "a SHA-256")
        _expect(_seconds(self.latency_s), "latency_s", "a number of seconds, 0 or more")
        _expect(_digests(self.input_sha256), "input_sha256", f"a tuple of at most {MOST_INPUTS} SHA-256")


def is_recordable(field: str, value: str) -> bool:
    """Whether an entry takes this text in a field of `LONGEST`."""
    return _printable(value, LONGEST[field])


def _expect(holds: bool, field: str, expected: str) -> None:
    if not holds:
        raise InvalidEntry(f"audit entry: {field}: expected {expected}, got something else. Nothing was recorded")


def _is(pattern: re.Pattern[str], value: object) -> bool:
    return isinstance(value, str) and pattern.fullmatch(value) is not None


def _printable(value: object, longest: int) -> bool:
    """No control character, no line separator, nothing that turns the writing direction, no lone surrogate."""
    return isinstance(value, str) and len(value) <= longest and value.isprintable()


def _seconds(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value) and value >= 0


def _digests(value: object) -> bool:
    return isinstance(value, tuple) and len(value) <= MOST_INPUTS and all(_is(_SHA256, digest) for digest in value)
