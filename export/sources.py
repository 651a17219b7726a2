"""What the user gives as DIR and/or NAME=PATH: checkpoints, and pictures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from export.models import all_specs


@dataclass(frozen=True, slots=True)
class Sources:
    """Where files come from; None and empty where the user gave none.

    Args:
        folder: for every model.
        explicit: by model name.
    """

    folder: Path | None = None
    explicit: Mapping[str, Path] = field(default_factory=dict)


def sources(variable: str, text: str) -> Sources:
    """Read "DIR", "NAME=PATH,NAME=PATH" or both.

    Args:
        variable: named in errors.
        text: as the user gave it.

    Raises:
        ValueError: two folders, or a name that is no model.
    """
    folder, explicit = None, {}
    names = ", ".join(all_specs())
    for part in filter(None, map(str.strip, text.split(","))):
        name, equals, path = part.partition("=")
        if equals and name in all_specs():
            explicit[name] = Path(path).expanduser()
        elif equals:
            raise ValueError(f"{variable}: expected NAME=PATH with a name of {names}; got {part}")
        elif folder is None:
            folder = Path(part).expanduser()
        else:
            raise ValueError(f"{variable}: expected one folder and NAME=PATH of {names}; got also {part}")
    return Sources(folder, explicit)


def folder_labels(text: str) -> dict[str, str]:
    """Read "folder=label,…".

    Raises:
        ValueError: a part that is not.
    """
    pairs = [part.partition("=") for part in filter(None, map(str.strip, text.split(",")))]
    if wrong := [folder for folder, equals, label in pairs if not equals or not label]:
        raise ValueError(f"--folders: expected folder=label, got {', '.join(wrong)}")
    return {folder: label for folder, _, label in pairs}
