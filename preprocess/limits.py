"""How large and how small a picture may be, whatever file it comes in."""

from __future__ import annotations

from preprocess.rejection import Reason, Rejected

MAX_PIXELS = 50_000_000  # the largest detectors and cameras in use; 150 MB as RGB
MIN_SIDE = 32  # fewer pixels than this hold no finding


def check_size(width: int, height: int) -> None:
    """To be called before anything is decoded.

    Raises:
        Rejected: over MAX_PIXELS, or a side under MIN_SIDE.
    """
    if width * height > MAX_PIXELS:
        raise Rejected(
            Reason.TOO_MANY_PIXELS,
            f"expected at most {MAX_PIXELS:,} pixels, got {width} × {height}. Send a smaller export.",
        )
    if min(width, height) < MIN_SIDE:
        raise Rejected(
            Reason.IMAGE_TOO_SMALL,
            f"expected at least {MIN_SIDE} pixels on each side, got {width} × {height}. Send the original.",
        )
