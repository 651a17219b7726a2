"""TorchScript files, FP32 and dynamic INT8, behind the same gate."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path

from export.commands.options import add_checkpoints, add_folders, add_pictures, checkpoint_of, pictures_of
from export.models import select
from export.publish import Order
from export.sources import folder_labels, sources


def add(parser: ArgumentParser) -> None:
    """Its options."""
    parser.add_argument("model")
    add_checkpoints(parser)
    add_pictures(parser)
    add_folders(parser)
    parser.add_argument("--folder", type=Path, default=Path("build/mobile"))


def run(options: Namespace) -> int:
    """Returns 1 where the gate refused a file."""
    from export.mobile import mobile

    (spec,) = select([options.model])
    order = Order(
        checkpoint=checkpoint_of(spec, sources("CHECKPOINTS", options.checkpoints)),
        pictures=pictures_of(spec, sources("PICTURES", options.pictures), folder_labels(options.folders)),
    )
    refused = 0
    for variant in mobile(spec, options.repository, order, options.folder / spec.name):
        refused += bool(variant.comparisons and variant.why)
        verdict = "refused" if variant.comparisons else "not made"
        print(
            f"{spec.name}: "
            + (f"{variant.name}: {verdict}: {'; '.join(variant.why)}" if variant.why else f"{variant.path}")
        )
    return 1 if refused else 0
