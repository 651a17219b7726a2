"""What is sent to the models: real files where the sample data is at hand, else made ones of that size and format."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping
from pathlib import Path

from PIL import Image

from benchmarks.load.slo import Campaign, Files
from export.samples import MOLECULES, picture, pictures_below

COUNT = 48  # different items of a model: enough that no cache of the machine's holds them all
Item = Mapping[str, bytes]


def items(inputs: Mapping[str, Files], data: Path | None, count: int = COUNT) -> list[Item]:
    """`count` items for one model: a value for each of its inputs.

    Args:
        inputs: what goes into each.
        data: the folder of sample data; None, or one without these files: made ones.
        count: items.

    Raises:
        ValueError: neither a folder nor a table is given.
    """
    # Two inputs of one model are not the same pictures: an answer of exchanged ones would be right.
    columns = {name: _column(files, data, count, first * count) for first, (name, files) in enumerate(inputs.items())}
    return [{name: values[place % len(values)] for name, values in columns.items()} for place in range(count)]


def has_files(files: Files, data: Path) -> bool:
    """Whether the sample data has real ones for this."""
    return (data / files.table).is_file() if files.table else bool(pictures_below(data / files.folder))


def files_description(campaign: Campaign, data: Path | None, models: Iterable[str]) -> str:
    """Whether files of these models are real, in words."""
    if data is None:
        return "made files"
    made = [
        name
        for name in dict.fromkeys(models)
        if not all(has_files(files, data) for files in campaign.files[name].values())
    ]
    return f"real files, but made ones for {', '.join(made)}" if made else "real files"


def _column(files: Files, data: Path | None, count: int, seed: int) -> list[bytes]:
    if files.table:
        return _texts(files, data, count)
    if not files.folder:
        raise ValueError(f"files: expected a folder or a table, got {files}")
    if data is None or not has_files(files, data):
        made = (picture(number) for number in range(seed, seed + count))
        return [_sized(content, files.size or (512, 512), files.format) for content in made]
    paths = pictures_below(data / files.folder)
    if files.size is None:
        return [path.read_bytes() for path in _spread(paths, count)]
    as_they_are = [path for path in paths if _is(path, files)]
    if len(as_they_are) >= count // 2:  # files as somebody made them, not as we would
        return [path.read_bytes() for path in _spread(as_they_are, count)]
    return [_sized(path.read_bytes(), files.size, files.format) for path in _spread(paths, count)]


def _spread(paths: list[Path], count: int) -> list[Path]:
    """`count` of them, or all, evenly spread over the folders: every label takes part."""
    step = max(1.0, len(paths) / count)
    return [paths[int(place * step)] for place in range(min(count, len(paths)))]


def _is(path: Path, files: Files) -> bool:
    with Image.open(path) as image:
        return image.size == files.size and image.format == files.format


def _sized(content: bytes, size: tuple[int, int], format_: str) -> bytes:
    """The same picture, of another size or format."""
    file = io.BytesIO()
    with Image.open(io.BytesIO(content)) as image:
        plain = image if image.mode in ("L", "RGB") else image.convert("RGB")
        plain.resize(size, Image.Resampling.BICUBIC).save(file, format_, quality=92)
    return file.getvalue()


def _texts(files: Files, data: Path | None, count: int) -> list[bytes]:
    if data is None or not has_files(files, data):
        return [text.encode() for text in MOLECULES]
    with (data / files.table).open(encoding="utf-8", newline="") as lines:
        texts = [row[files.column].strip().encode() for row in csv.DictReader(lines)]
    return texts[:: max(1, len(texts) // count)][:count]
