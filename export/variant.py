"""A file that may be published, and what the gate found."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from report.card import Quantised
from report.comparison import Comparison


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """A file that was made, and what the gate said.

    Args:
        file: where it lies; None where none was made.
        why: sentences; empty where an engine passed.
    """

    name: str
    precision: str
    file: Path | None
    fingerprint: tuple[int, int] = (0, 0)
    comparisons: tuple[Comparison, ...] = ()
    quantised: Quantised | None = None
    why: tuple[str, ...] = ()

    @property
    def path(self) -> Path:
        """Where it lies, of one that was made."""
        if self.file is None:
            raise ValueError(f"{self.name}: was not made")
        return self.file
