"""Where the checkout is, and what tests keep in it from one run to the next."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BUILD = ROOT / "build" / "tests"  # git-ignored; exported repositories and reports
