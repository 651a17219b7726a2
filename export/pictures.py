"""What a model is compared and calibrated on: real items, or what `export.samples` draws."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from export.figures import UNLABELLED
from export.item_files import ItemFiles, items_at
from export.samples import first_step, generated_files
from export.spec import ModelSpec
from preprocess.rejection import Rejected
from preprocess.statistics import STATISTICS
from report.comparison import PictureSet

CALIBRATES = 4  # one picture in so many finds the ranges of INT8, by its content's hash; the others compare
FEWEST = 4
AT_ONCE = 64  # files held in memory while they are decoded
SYNTHETIC = "generated (export.samples)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Items:
    """Net inputs, and what is known of them.

    Args:
        inputs: by name, [N, ...].
        labels: [N], index of each one's label; UNLABELLED where none is known.
        origin: see PictureSet.
        statistics: FP32 [N, k] of what was sent, in the order of the step's.
    """

    inputs: dict[str, NDArray[np.generic]]
    statistics: NDArray[np.float32]
    labels: NDArray[np.int64]
    origin: PictureSet

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True, slots=True)
class Folder:
    """Real items: at `path`, in folders that may name their label.

    Args:
        path: see `export.item_files`.
        labels: folder name → label, for folders that are not named like theirs.
    """

    path: Path
    labels: Mapping[str, str]


def gather(spec: ModelSpec, folder: Folder | None) -> tuple[Items, Items]:
    """(compared, calibrating), without an item in common.

    Args:
        spec: the model's declaration.
        folder: None: generated items.

    Raises:
        ValueError: no item, or one that the model would refuse; the message names it.
    """
    if folder is None:
        count = spec.gate.samples
        compared, calibrating = _generated(spec, 0, count), _generated(spec, count, count)
    else:
        compared, calibrating = _real(spec, folder)
    check_disjoint(compared, calibrating)
    return compared, calibrating


def check_disjoint(compared: Items, calibrating: Items) -> None:
    """Raises ValueError: a picture that finds the ranges and judges them too."""
    if shared := set(compared.origin.sha256) & set(calibrating.origin.sha256):
        raise ValueError(
            f"{len(shared)} pictures are in both sets, first sha256 {min(shared)[:16]}…: expected others for the "
            "comparison than for the calibration, or INT8 is judged by what it was fitted to."
        )


def _generated(spec: ModelSpec, first: int, count: int) -> Items:
    sent = generated_files(spec, range(first, first + count))
    inputs = first_step(spec.step, *sent)
    statistics = inputs.pop(STATISTICS)
    return Items(
        inputs=inputs,
        statistics=statistics.astype(np.float32),
        labels=np.full(count, UNLABELLED),
        origin=PictureSet(
            source=SYNTHETIC,
            synthetic=True,
            sha256=tuple(sha256(b"\0".join(item)).hexdigest() for item in zip(*sent, strict=True)),
        ),
    )


def split(spec: ModelSpec, folder: Folder) -> tuple[dict[str, ItemFiles], dict[str, ItemFiles]]:
    """(compared, calibrating) items by sha256, sorted; one of each content.

    Raises:
        ValueError: none at that path.
    """
    by_content = {item.sha256: item for item in reversed(items_at(spec, folder.path))}
    parts: tuple[dict[str, ItemFiles], dict[str, ItemFiles]] = ({}, {})
    for digest, item in sorted(by_content.items()):
        parts[int(digest[:8], 16) % CALIBRATES == 0][digest] = item
    return parts


def _real(spec: ModelSpec, folder: Folder) -> tuple[Items, Items]:
    compared, calibrating = split(spec, folder)
    if len(compared) < FEWEST:
        raise ValueError(
            f"PICTURES: expected at least {FEWEST} that compare at {folder.path}, got {len(compared)} beside "
            f"{len(calibrating)} that calibrate"
        )
    return _items(spec, folder, compared), _items(spec, folder, calibrating)


def _items(spec: ModelSpec, folder: Folder, found: Mapping[str, ItemFiles]) -> Items:
    items = list(found.values())
    # A table's texts are small, and molecules are padded to the largest of those that are read together.
    at_once = AT_ONCE if spec.explained else max(1, len(items))
    parts = [_decoded(spec, items[start : start + at_once]) for start in range(0, len(items), at_once)]
    inputs = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]} if parts else {}
    labels = labels_of(spec, folder, items)
    origin = PictureSet(source=folder.path.name, synthetic=False, sha256=tuple(found), labels=labels_digest(labels))
    statistics = inputs.pop(STATISTICS, np.empty((0, len(spec.step.statistics)))).astype(np.float32)
    return Items(inputs=inputs, statistics=statistics, labels=labels, origin=origin)


def _decoded(spec: ModelSpec, items: Sequence[ItemFiles]) -> dict[str, NDArray[np.generic]]:
    try:
        return first_step(spec.step, *map(list, zip(*(item.read() for item in items), strict=True)))
    except Rejected as rejected:
        where = items[rejected.item].where
        raise ValueError(f"PICTURES: {where}: {rejected}. Take it out, or send another.") from rejected


def labels_digest(labels: NDArray[np.int64]) -> str:
    """SHA-256 of the labels in their order; "" where none is known."""
    known = bool((labels != UNLABELLED).any())
    return sha256(labels.astype("<i8").tobytes()).hexdigest() if known else ""


def check_folders(specs: Iterable[ModelSpec], folders: Iterable[Folder]) -> None:
    """Refuse a folder=label that would say nothing, as a misspelt one does.

    Raises:
        ValueError: no such folder of pictures, or no such label of any of the models.
    """
    labels = {plain(label) for spec in specs for label in spec.labels}
    given = list(folders)
    named = {name: label for folder in given for name, label in folder.labels.items()}
    there = {path.name for folder in given for path in folder.path.rglob("*") if path.is_dir()}
    if missing := sorted(set(named) - there):
        raise ValueError(f"FOLDERS: expected folders below PICTURES, found no {', '.join(missing)}")
    if unknown := sorted({label for label in named.values() if plain(label) not in labels}):
        raise ValueError(f"FOLDERS: expected labels of these models, got {', '.join(unknown)}")


def labels_of(spec: ModelSpec, folder: Folder, items: Iterable[ItemFiles]) -> NDArray[np.int64]:
    """[N], the index of the label that each item's folder names; UNLABELLED where it names none."""
    own = {plain(label): index for index, label in enumerate(spec.labels)}
    names = [item.folder for item in items]
    return np.array([own.get(plain(folder.labels.get(name, name)), UNLABELLED) for name in names], np.int64)


def plain(name: str) -> str:
    """A label as a folder name may spell it: case, blanks, hyphens and underscores are one."""
    return re.sub(r"[-_ ]+", " ", name).casefold()
