"""Files of figures: JSON that says of what kind it is, whole or not there at all."""

from __future__ import annotations

from pathlib import Path

import msgspec

SOME = msgspec.Meta(min_length=1)  # an empty series has kept every promise


class FiguresError(ValueError):
    """A file that no benchmark wrote, or a benchmark that measured nothing."""


def write(found: msgspec.Struct, folder: Path, name: str) -> Path:
    """Write a benchmark's figures; returns the file.

    Args:
        found: of a kind with a tag.
        folder: made if it is not there.
        name: of the file, without its ending.

    Raises:
        FiguresError: nothing was measured.
    """
    file, content = folder / f"{name}.json", msgspec.json.encode(found)
    decoded(content, type(found), file)
    folder.mkdir(parents=True, exist_ok=True)
    made = file.with_suffix(".part")
    made.write_bytes(content)
    made.replace(file)  # a disk may be full
    return file


def decoded(content: bytes, kind: object, file: Path) -> object:
    """What a file holds, if it is of that kind, or of one of those kinds.

    Raises:
        FiguresError: it is not.
    """
    try:
        return msgspec.json.decode(content, type=kind)
    except msgspec.DecodeError as exc:
        raise FiguresError(f"{file}: expected a benchmark's figures: {exc}") from exc
