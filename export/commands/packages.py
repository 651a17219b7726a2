"""List the packages that the export of these models needs and that are not installed, one a line, for pip."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from importlib.metadata import PackageNotFoundError, version

from export.commands.options import add_models, chosen


def add(parser: ArgumentParser) -> None:
    """Its options."""
    add_models(parser)


def run(options: Namespace) -> int:
    """Print them."""
    wanted = dict.fromkeys(package for spec in chosen(options.models) for package in spec.packages)
    for package in filter(_is_missing, wanted):
        print(package)
    return 0


def _is_missing(package: str) -> bool:
    try:
        version(package)
    except PackageNotFoundError:
        return True
    return False
