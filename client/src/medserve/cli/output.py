"""Outcomes for a person, for a program and for a spreadsheet."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Mapping
from typing import Any, Protocol

from medserve.errors import MedServeError
from medserve.prediction import Prediction

COLUMNS = ("item", "prediction", "confidence", "unit", "uncertainty", "risk_level", "needs_review", "review_reasons",
           "model", "artefact_sha256", "weights", "timestamp", "processing_time_s", "error", "code")  # fmt: skip
_SKIPPED = ("model", "prediction", "confidence", "unit", "needs_review", "review_reasons", "disclaimer", "timestamp",
            "provenance")  # fmt: skip


class Writer(Protocol):
    """Prints one outcome after the other."""

    def answered(self, name: str, answer: Prediction) -> None:
        """One that was answered."""

    def failed(self, name: str, error: MedServeError) -> None:
        """One that was not."""


class Lines:
    """A few lines each, for a person; failures on stderr."""

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

    def failed(self, name: str, error: MedServeError) -> None:
        _told(name, error)


class Objects:
    """One JSON object a line: the report, or `error` and `code`."""

    def answered(self, name: str, answer: Prediction) -> None:
        print(json.dumps({"item": name, **answer.to_dict()}, ensure_ascii=False), flush=True)

    def failed(self, name: str, error: MedServeError) -> None:
        print(json.dumps({"item": name, "error": str(error), "code": error.code}, ensure_ascii=False), flush=True)
        _told(name, error)


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

    def failed(self, name: str, error: MedServeError) -> None:
        self._writer.writerow({"item": name, "error": str(error), "code": error.code or ""})
        _told(name, error)


def _told(name: str, error: MedServeError) -> None:
    print(f"medserve: {name}: {error}", file=sys.stderr, flush=True)


def _short(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_short(one)}" for name, one in value.items())
    if isinstance(value, list):
        return "; ".join(map(_short, value))
    return f"{value:.3f}" if isinstance(value, float) else str(value)
