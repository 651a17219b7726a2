"""What was read, for whoever counts it: which format, how large; nothing of what it shows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Seen:
    """One input that was read.

    Args:
        format: one of a few words: dicom, png, jpeg, mpo, bmp, tiff, webp, gif, smiles.
        size_bytes: of the file, decoded where it travelled as text.
        pixels: of the picture before it was resized; 0 of a molecule.
    """

    format: str
    size_bytes: int
    pixels: int = 0


Note = Callable[[Seen], None]


def unnoted(_seen: Seen) -> None:
    """Nobody counts."""
