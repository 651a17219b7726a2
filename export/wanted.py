"""What a user may ask for beyond the default."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which variants.

    Args:
        synthetic: INT8 also from generated pictures, or of untrained weights: to see that it builds.
        anyway: the reason for publishing what the gate refuses; "" where there is none.
    """

    synthetic: bool = False
    anyway: str = ""
