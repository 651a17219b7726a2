"""What stands on the command line → items, with the name by which each is told of."""

from __future__ import annotations

import glob
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from medserve.description import Description
from medserve.items import Sendable

STDIN = "-"
TEXTS = (".md", ".txt", ".csv", ".json")  # what lies beside pictures and is none


@dataclass(frozen=True, slots=True)
class Item:
    """One item.

    Args:
        name: for people, and for file names.
        inputs: as `predict` takes them.
    """

    name: str
    inputs: dict[str, Sendable]


def items(described: Description, given: Sequence[str]) -> Iterator[Item]:
    """Every item that the arguments mean.

    Of a model with several inputs, one: `ct=a.dcm mri=b.png`. Of any other, one for each file, for each file in
    a folder and below it, for each file that a pattern matches, for each text that is none of these where the
    model takes text, and with `-` for each line of stdin, or the one file that comes there.

    Raises:
        ValueError: arguments that mean nothing here.
    """
    if len(described.inputs) > 1:
        yield _several(described, given)
        return
    (declared,) = described.inputs
    pictures = bool(declared.pixels)
    for text in given:
        if text == STDIN:
            for name, value in _stdin(pictures):
                yield Item(name, {declared.name: value})
        else:
            for name, value in _meant(text, pictures):
                yield Item(name, {declared.name: value})


def _several(described: Description, given: Sequence[str]) -> Item:
    names = [sent.name for sent in described.inputs]
    pairs = [text.partition("=") for text in given]
    if wrong := [text for text, (name, equals, _) in zip(given, pairs, strict=True) if not equals or name not in names]:
        wanted = " ".join(f"{name}=FILE" for name in names)
        raise ValueError(f"{described.name}: expected {wanted}, got {' '.join(wrong)}")
    if len({name for name, *_ in pairs}) < len(pairs):
        raise ValueError(f"{described.name}: expected each of {', '.join(names)} once, got {' '.join(given)}")
    return Item(" ".join(given), {name: Path(text) for name, _, text in pairs})


def _meant(text: str, pictures: bool) -> Iterator[tuple[str, Sendable]]:
    path = Path(text)
    if path.is_dir():
        files = sorted(file for file in path.rglob("*") if file.is_file() and not file.name.startswith("."))
        found = [file for file in files if file.suffix.lower() not in TEXTS]
        if not found:
            raise ValueError(f"{text}: expected files below it, found none")
        yield from ((str(file), file) for file in found)
    elif path.is_file() or (pictures and not glob.has_magic(text)):
        yield text, path  # a file that is not there is that item's own error
    elif pictures:
        if not (matching := sorted(glob.glob(text, recursive=True))):
            raise ValueError(f"{text}: expected files that match, found none")
        yield from ((file, Path(file)) for file in matching)
    else:
        yield text, text


def _stdin(pictures: bool) -> Iterator[tuple[str, Sendable]]:
    if not pictures:
        yield from ((line.strip(), line.strip()) for line in sys.stdin if line.strip())
        return
    content = sys.stdin.buffer.read()
    lines = content.splitlines()
    if b"\0" in content[:4096] or content[:4] == b"\xff\xd8\xff\xe0" or not lines:
        yield STDIN, content  # a picture itself
    else:
        yield from ((line.decode(), Path(line.decode())) for line in lines if line.strip())
