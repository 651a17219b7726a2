"""Fit a model's temperature to labelled pictures, and export it."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path

from export.commands.lines import export_line
from export.commands.options import add_checkpoints, add_folders, checkpoint_of
from export.models import select
from export.publish import Order
from export.sources import folder_labels, sources


def add(parser: ArgumentParser) -> None:
    """Its options."""
    parser.add_argument("model")
    parser.add_argument("--images", type=Path, required=True, help="folder with one folder of pictures a label")
    add_checkpoints(parser)
    add_folders(parser)


def run(options: Namespace) -> int:
    """Fit, export, and say what it changed."""
    from export.calibrate import calibrate
    from export.pictures import Folder

    (spec,) = select([options.model])
    checkpoint = checkpoint_of(spec, sources("CHECKPOINTS", options.checkpoints))
    labels = folder_labels(options.folders)
    calibration = calibrate(spec, checkpoint, options.images, labels)
    # The same pictures again: a temperature moves no label, and what it does to probabilities is compiled in.
    order = Order(checkpoint=checkpoint, pictures=Folder(options.images, labels), fitted=calibration)
    print(export_line(spec, options.repository, order))
    fit = calibration.fit
    if fit is not None:
        print(
            f"temperature {calibration.temperature:.4f} from {fit.images} pictures; NLL {fit.nll_before:.4f} → "
            f"{fit.nll_after:.4f}, ECE {fit.ece_before:.4f} → {fit.ece_after:.4f} ({fit.measured})"
        )
    return 0
