"""Outcomes for a person, for a program and for a spreadsheet."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Mapping
from typing import Any, Protocol

from medserve.prediction import Prediction

COLUMNS = ("item", "prediction", "confidence", "unit", "uncertainty", "risk_level", "needs_review", "review_reasons",
           "model", "artefact_sha256", "weights", "timestamp", "processing_time_s", "error", "code")  # fmt: skip
_SKIPPED = ("model", "prediction", "confidence", "unit", "needs_review", "review_reasons", "disclaimer", "timestamp",
            "provenance")  # fmt: skip


class Writer(Protocol):
    """Prints one outcome after the other."""

    def answered(self, name: str, answer: Prediction) -> None:
        """One that was answered."""

    def failed(self, name: str, error: Exception) -> None:
        """One that was not."""

    def ended(self) -> None:
        """There are no more."""


class Table:
    """A line each, for a person; failures on stderr, what every answer says alike at the end."""

    _ROW = "{:<40} {:<26} {:>10} {:>11} {:<6} {}"

    def __init__(self) -> None:
        self._disclaimers: dict[str, None] = {}
        self._headed = False

    def answered(self, name: str, answer: Prediction) -> None:
        if not self._headed:
            print(self._ROW.format("item", "prediction", "confidence", "uncertainty", "risk", "needs review"))
            self._headed = True
        self._disclaimers[answer.disclaimer] = None
        found = answer.label if answer.confidence is not None else f"{answer.prediction:.3f} {answer.unit}"
        numbers = ["" if value is None else f"{value:.3f}" for value in (answer.confidence, answer.uncertainty)]
        review = "; ".join(answer.review_reasons) if answer.needs_review else "no"
        print(self._ROW.format(_last(name, 40), found, *numbers, answer.risk_level or "", review), flush=True)

    def failed(self, name: str, error: Exception) -> None:
        _told(name, error)

    def ended(self) -> None:
        print("\n".join(self._disclaimers))


class Lines:
    """A few lines for one, for a person; failures on stderr."""

    def answered(self, name: str, answer: Prediction) -> None:
        report = dict(answer.report)
        head = f"{name}: {answer.prediction}"
        head += f" ({answer.confidence:.3f})" if answer.confidence is not None else f" {answer.unit}"
        lines = [head]
        lines += [
            f"  {field}: {_short(value)}"
            for field, value in report.items()
            if field not in _SKIPPED and value not in (None, [])
        ]
        reasons = f"yes ({'; '.join(answer.review_reasons)})" if answer.needs_review else "no"
        lines.append(f"  needs review: {reasons}")
        print("\n".join([*lines, f"  {answer.disclaimer}"]), flush=True)

    def failed(self, name: str, error: Exception) -> None:
        _told(name, error)

    def ended(self) -> None:
        """Nothing is left to say."""


class Objects:
    """One JSON object a line: the report, or `error` and `code`."""

    def answered(self, name: str, answer: Prediction) -> None:
        print(json.dumps({"item": name, **answer.to_dict()}, ensure_ascii=False), flush=True)

    def failed(self, name: str, error: Exception) -> None:
        print(
            json.dumps({"item": name, "error": str(error), "code": getattr(error, "code", None)}, ensure_ascii=False),
            flush=True,
        )
        _told(name, error)

    def ended(self) -> None:
        """Nothing is left to say."""


class Rows:
    """CSV with COLUMNS."""

    def __init__(self) -> None:
        self._writer = csv.DictWriter(sys.stdout, COLUMNS, lineterminator="\n")
        self._writer.writeheader()

    def answered(self, name: str, answer: Prediction) -> None:
        report, origin = answer.report, answer.provenance
        self._writer.writerow(
            {column: report.get(column, "") for column in COLUMNS}
            | {
                "item": name,
                "review_reasons": "; ".join(answer.review_reasons),
                "artefact_sha256": origin.artefact_sha256,
                "weights": "trained" if origin.trained else "untrained",
                "processing_time_s": round(answer.processing_time_s, 6),
            }
        )

    def failed(self, name: str, error: Exception) -> None:
        self._writer.writerow({"item": name, "error": str(error), "code": getattr(error, "code", None) or ""})
        _told(name, error)

    def ended(self) -> None:
        """Nothing is left to say."""


def _told(name: str, error: Exception) -> None:
    print(f"medserve: {name}: {error}", file=sys.stderr, flush=True)


def _last(text: str, length: int) -> str:
    """The end of it, which tells files apart."""
    return text if len(text) <= length else f"…{text[1 - length :]}"


def _short(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_short(one)}" for name, one in value.items())
    if isinstance(value, list):
        return "; ".join(map(_short, value))
    return f"{value:.3f}" if isinstance(value, float) else str(value)
