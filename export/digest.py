"""Digests that bind an artefact to what it was made of."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path

EXPORT = Path(__file__).resolve().parent


def sha256_of(path: Path) -> str:
    """Hex SHA-256 of a file, read in pieces."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sha256_of_all(paths: Sequence[Path]) -> str:
    """Of one file, its own; of several, the SHA-256 of theirs in order."""
    if len(paths) == 1:
        return sha256_of(paths[0])
    return hashlib.sha256("".join(map(sha256_of, paths)).encode()).hexdigest()


def recipe_digest(model: str, *, tools: Iterable[str]) -> str:
    """SHA-256 over the sources that decide what a model's files compute and which pass, and the tools' versions.

    Another digest than the card's means that the model must be exported again.
    """
    sources = [
        EXPORT / "models" / f"{model}.py",
        *sorted((EXPORT / "nets").glob("*.py")),
        *sorted((EXPORT / "graphs").glob("*.py")),
        *sorted((EXPORT / "precision").glob("*.py")),
        *(
            EXPORT / name
            for name in ("spec.py", "steps.py", "outputs.py", "loading.py", "checkpoints.py", "to_onnx.py")
        ),
        *(
            EXPORT / name
            for name in (
                "references.py",
                "figures.py",
                "parity.py",
                "pictures.py",
                "item_files.py",
                "reference_distribution.py",
                "engines.py",
                "variant.py",
                "variants.py",
                "verdict.py",
            )
        ),
    ]
    digest = hashlib.sha256()
    for source in sources:
        digest.update(source.name.encode() + b"\0" + source.read_bytes() + b"\0")
    for tool in tools:
        digest.update(tool.encode() + b"\0")
    return digest.hexdigest()
