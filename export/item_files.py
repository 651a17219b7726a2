"""Real items on a disk, as their model takes them: pictures, pictures that belong together, or texts of a table."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from export.samples import pictures_below
from export.spec import ModelSpec

TABLE = ".csv"


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemFiles:
    """One item.

    Args:
        where: its file, or its line of a table, for messages.
        sent: for each of the step's inputs a file, or the bytes themselves; no bytes for what is left out.
        folder: name of the folder that it lies in, which may be its label's; "" for one of a table.
    """

    where: str
    sent: tuple[Path | bytes, ...]
    folder: str = ""

    def read(self) -> tuple[bytes, ...]:
        """What is sent to each of the step's inputs."""
        return tuple(each.read_bytes() if isinstance(each, Path) else each for each in self.sent)

    @property
    def sha256(self) -> str:
        """Of its only input; of several, of their digests in order."""
        digests = [sha256(content).hexdigest() for content in self.read()]
        return digests[0] if len(digests) == 1 else sha256("".join(digests).encode()).hexdigest()


def items_at(spec: ModelSpec, path: Path) -> list[ItemFiles]:
    """What a model can be sent of it, in the order of their names or lines.

    Args:
        spec: the model's declaration.
        path: a folder of pictures; for a model of several pictures one that holds a folder for each, named like its
            input, in which what belongs together has the same name; for one that takes no picture a CSV table with a
            column named like its input.

    Raises:
        ValueError: no such folder or table, or nothing in it.
    """
    names = [each.name for each in spec.step.inputs]
    if not spec.explained:
        found = list(_rows(names[0], path))
    elif not path.is_dir():
        raise ValueError(f"PICTURES: expected a folder, found none at {path}")
    elif len(names) > 1:
        found = _together(names, path)
    else:
        found = [_alone(file) for file in pictures_below(path)]
    if not found:
        raise ValueError(f"PICTURES: expected pictures or rows for {spec.name} in {path}, found none")
    return found


def _alone(file: Path) -> ItemFiles:
    return ItemFiles(where=str(file), sent=(file,), folder=file.parent.name)


def _together(names: list[str], path: Path) -> list[ItemFiles]:
    if not any((path / name).is_dir() for name in names):
        raise ValueError(f"PICTURES: expected folders named {' and '.join(names)} in {path}, found neither")
    by_input = {name: _by_place(path / name) for name in names}
    places = sorted({place for files in by_input.values() for place in files})
    several = [[files[place] for files in by_input.values() if place in files] for place in places]
    return [
        ItemFiles(
            where=" with ".join(map(str, files)),
            sent=tuple(by_input[name].get(place, b"") for name in names),
            folder=files[0].parent.name,
        )
        for place, files in zip(places, several, strict=True)
    ]


def _by_place(folder: Path) -> Mapping[Path, Path]:
    """Files by where they lie below the folder, without what their format is called."""
    found: dict[Path, Path] = {}
    for file in pictures_below(folder):
        place = file.relative_to(folder).with_suffix("")
        if place in found:
            raise ValueError(f"PICTURES: expected one picture of each name, found {found[place]} and {file}")
        found[place] = file
    return found


def _rows(column: str, path: Path) -> Iterator[ItemFiles]:
    if path.suffix.lower() != TABLE or not path.is_file():
        raise ValueError(f"PICTURES: expected a table (*{TABLE}) with a column {column}, found none at {path}")
    with path.open(newline="", encoding="utf-8-sig") as file:
        reader = csv.DictReader(file)
        if column not in (header := reader.fieldnames or []):
            raise ValueError(f"PICTURES: {path}: expected a column {column}, found {', '.join(header) or 'none'}")
        for row in reader:
            yield ItemFiles(where=f"{path}, line {reader.line_num}", sent=((row[column] or "").encode(),))
