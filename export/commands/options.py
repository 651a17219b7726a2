"""Options that commands share, and what they mean.

Their defaults come from the environment, so that make need not quote what a path may hold.
"""

from __future__ import annotations

import os
from argparse import ArgumentParser
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from export.models import all_specs, select
from export.sources import Sources
from export.spec import ModelSpec

if TYPE_CHECKING:
    from export.pictures import Folder  # imports more than a start with nothing to export needs

variable = os.environ.get


def add_models(parser: ArgumentParser) -> None:
    """--models."""
    parser.add_argument(
        "--models",
        default=variable("MODELS", ""),
        help="names, separated by commas, or all; default all that fit any machine",
    )


def add_repository(parser: ArgumentParser) -> None:
    """--repository."""
    parser.add_argument("--repository", type=Path, default=Path("model_repository"))


def add_checkpoints(parser: ArgumentParser) -> None:
    """--checkpoints."""
    parser.add_argument(
        "--checkpoints", default=variable("CHECKPOINTS", ""), help="DIR and/or NAME=FILE, separated by commas"
    )


def add_pictures(parser: ArgumentParser) -> None:
    """--pictures."""
    parser.add_argument(
        "--pictures",
        default=variable("PICTURES", ""),
        help="real ones to compare and calibrate on: NAME=DIR,… or DIR, of molecules NAME=TABLE.csv",
    )


def add_folders(parser: ArgumentParser) -> None:
    """--folders."""
    parser.add_argument(
        "--folders", default=variable("FOLDERS", ""), help="folder=label,… where they are not named alike"
    )


def chosen(text: str) -> list[ModelSpec]:
    """The specs that --models names."""
    names = [name.strip() for name in text.split(",") if name.strip()]
    if names == ["all"]:
        names = list(all_specs())
    return select(list(dict.fromkeys(names)) or [spec.name for spec in all_specs().values() if not spec.on_request])


def checkpoint_of(spec: ModelSpec, given: Sources) -> Path | None:
    """The model's checkpoint; None where none was given."""
    if given.folder is None and not given.explicit:
        return None
    from export.checkpoints import find  # imports torch

    return find(spec, given.folder, given.explicit)


def pictures_of(spec: ModelSpec, given: Sources, labels: Mapping[str, str]) -> Folder | None:
    """The model's items; None where none were given. A folder for all is of pictures that are sent one by one."""
    folder = given.explicit.get(spec.name, given.folder if spec.takes_one_picture else None)
    if folder is None:
        return None
    from export.pictures import Folder

    return Folder(folder, labels)
