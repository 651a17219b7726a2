"""What a model is compared and calibrated on: a folder of real files, or what `export.samples` draws."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from export.figures import UNLABELLED
from export.samples import generated_files, net_inputs, pictures_below
from export.spec import ModelSpec
from preprocess.rejection import Rejected
from report.comparison import PictureSet

CALIBRATES = 4  # one picture in so many finds the ranges of INT8, by its content's hash; the others compare
FEWEST = 4
SYNTHETIC = "generated (export.samples)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Items:
    """Net inputs, and what is known of them.

    Args:
        inputs: by name, [N, ...].
        labels: [N], index of each one's label; UNLABELLED where none is known.
        origin: see PictureSet.
        files: where each lies; empty where they were generated.
    """

    inputs: dict[str, NDArray[np.generic]]
    labels: NDArray[np.int64]
    origin: PictureSet
    files: tuple[Path, ...] = ()

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True, slots=True)
class Folder:
    """Real files: below `path`, in folders that may name their label.

    Args:
        path: read with everything below it.
        labels: folder name → label, for folders that are not named like theirs.
    """

    path: Path
    labels: Mapping[str, str]


def gather(spec: ModelSpec, folder: Folder | None) -> tuple[Items, Items]:
    """(compared, calibrating), without an item in common.

    Args:
        spec: the model's declaration.
        folder: None: generated items. So too for models that take several inputs, or no picture.

    Raises:
        ValueError: no picture, or a file that the model would refuse; the message names it.
    """
    if folder is None or not spec.takes_one_picture:
        compared, calibrating = (
            _generated(spec, 0, spec.gate.samples),
            _generated(spec, spec.gate.samples, spec.gate.samples),
        )
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
    return Items(
        inputs=net_inputs(spec.step, *sent),
        labels=np.full(count, UNLABELLED),
        origin=PictureSet(
            source=SYNTHETIC,
            synthetic=True,
            sha256=tuple(sha256(b"\0".join(item)).hexdigest() for item in zip(*sent, strict=True)),
        ),
    )


def split(folder: Folder) -> tuple[dict[str, Path], dict[str, Path]]:
    """(compared, calibrating) files by sha256, sorted; one of each content.

    Raises:
        ValueError: no folder, or none in it.
    """
    if not folder.path.is_dir():
        raise ValueError(f"PICTURES: expected a folder, found none at {folder.path}")
    by_content = {sha256(file.read_bytes()).hexdigest(): file for file in reversed(pictures_below(folder.path))}
    if not by_content:
        raise ValueError(f"PICTURES: expected pictures below {folder.path}, found none")
    parts: tuple[dict[str, Path], dict[str, Path]] = ({}, {})
    for digest, file in sorted(by_content.items()):
        parts[int(digest[:8], 16) % CALIBRATES == 0][digest] = file
    return parts


def _real(spec: ModelSpec, folder: Folder) -> tuple[Items, Items]:
    compared, calibrating = split(folder)
    if len(compared) < FEWEST:
        raise ValueError(
            f"PICTURES: expected at least {FEWEST} that compare below {folder.path}, got {len(compared)} beside "
            f"{len(calibrating)} that calibrate"
        )
    return _items(spec, folder, compared), _items(spec, folder, calibrating)


def _items(spec: ModelSpec, folder: Folder, found: Mapping[str, Path]) -> Items:
    files = tuple(found.values())
    try:
        inputs = net_inputs(spec.step, [file.read_bytes() for file in files]) if files else {}
    except Rejected as rejected:
        raise ValueError(f"PICTURES: {files[rejected.item]}: {rejected}. Take it out, or send another.") from rejected
    origin = PictureSet(source=folder.path.name, synthetic=False, sha256=tuple(found))
    return Items(inputs=inputs, labels=_labels(spec, folder, files), origin=origin, files=files)


def _labels(spec: ModelSpec, folder: Folder, files: Sequence[Path]) -> NDArray[np.int64]:
    own = {plain(label): index for index, label in enumerate(spec.labels)}
    names = [file.parent.name for file in files]
    return np.array([own.get(plain(folder.labels.get(name, name)), UNLABELLED) for name in names], np.int64)


def plain(name: str) -> str:
    """A label as a folder name may spell it: case, blanks, hyphens and underscores are one."""
    return re.sub(r"[-_ ]+", " ", name).casefold()
