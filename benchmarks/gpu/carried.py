"""carried.toml: what the GPU proof measures, and what travels for it."""

from __future__ import annotations

from pathlib import Path
from typing import Self

import msgspec

from benchmarks.load.slo import Files

FILE = Path(__file__).with_suffix(".toml")


class Carried(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The whole file.

    Args:
        images: kind → files of the sample data.
        models: folder that travels → model → precisions.
    """

    images: dict[str, Files]
    models: dict[str, dict[str, tuple[str, ...]]]

    @classmethod
    def read(cls) -> Self:
        """Raises msgspec.ValidationError: an unknown key or a wrong type."""
        return msgspec.toml.decode(FILE.read_bytes(), type=cls)

    def names(self) -> list[str]:
        """Return the models, each once, in the file's order."""
        return list(dict.fromkeys(name for models in self.models.values() for name in models))
