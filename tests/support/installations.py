"""Installed Tritons, as the launcher describes them: nothing of them is here."""

from __future__ import annotations

from pathlib import Path

from server.installation import Installation

_PATHS = {"server": Path("bin/tritonserver"), "backends": Path("backends"), "stub": Path("stub")}
WHEEL = Installation(**_PATHS, libraries=Path("libs"), image=False, gpus=False)
WHEEL_WITH_CUDA = Installation(**_PATHS, libraries=Path("libs"), image=False, gpus=True)
IMAGE = Installation(**_PATHS, libraries=None, image=True, gpus=True)
