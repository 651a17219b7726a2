"""Files and strings → the tensors of a net. NumPy, Pillow, pydicom, RDKit; no torch, no Triton.

Every function here is pure, and what it refuses it refuses with a `Rejected`.
"""

from __future__ import annotations

VERSION = "1"  # stands in every report: raise it when the same file would give other numbers
