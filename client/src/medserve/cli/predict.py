"""medserve predict MODEL INPUT…"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Annotated

import typer

from medserve.batch import Bar
from medserve.cli.connection import TIMEOUT_S, URL, Authorities, Key, Timeout, Url, connect
from medserve.cli.inputs import Item, items
from medserve.cli.output import Lines, Objects, Rows, Table, Writer
from medserve.client import Client
from medserve.description import Description
from medserve.errors import MedServeError
from medserve.prediction import Prediction


def predict(
    model: Annotated[str, typer.Argument(help="its name on the server; `medserve models` lists them")],
    inputs: Annotated[
        list[str],
        typer.Argument(help="files, folders, patterns, texts such as a SMILES, or - for stdin; or ct=FILE mri=FILE"),
    ],
    as_json: Annotated[bool, typer.Option("--json", help="one JSON object a line")] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="a table for a spreadsheet")] = False,
    heatmap: Annotated[Path | None, typer.Option(metavar="DIR", help="write pictures under their heat maps")] = None,
    concurrency: Annotated[int, typer.Option(min=1, help="calls under way at once")] = 8,
    url: Url = URL,
    timeout_s: Timeout = TIMEOUT_S,
    api_key: Key = None,
    ca: Authorities = None,
) -> int:
    """Ask a model about each input; exit status 1 if any failed."""
    if as_json and as_csv:
        raise ValueError("--json, --csv: expected one of them")
    with connect(url, timeout_s, api_key, ca) as client:
        described = client.describe(model)
        if heatmap is not None:
            _check_heatmap(described, heatmap)
        found = list(items(described, inputs))
        writer: Writer = Objects() if as_json else Rows() if as_csv else Table() if len(found) > 1 else Lines()
        bar = Bar(sys.stderr.isatty() and len(found) > concurrency, model, len(found))
        failures = 0
        with bar.showing():
            for outcome in client.predict_batch(model, [each.inputs for each in found], concurrency=concurrency):
                item = found[outcome.index]
                try:
                    answer = outcome.result()
                    if heatmap is not None:
                        _write_overlays(client, described, item, answer, heatmap)
                    writer.answered(item.name, answer)
                except (MedServeError, OSError) as exc:  # an overlay that cannot be written is that item's alone
                    failures += 1
                    writer.failed(item.name, exc)
                bar.advance()
        writer.ended()
    return 1 if failures else 0


def _check_heatmap(described: Description, folder: Path) -> None:
    from medserve import overlay  # noqa: F401  says at once if Pillow is missing

    if not any(sent.heatmap for sent in described.inputs):
        raise ValueError(f"--heatmap: expected a model of pictures, got {described.name}")
    folder.mkdir(parents=True, exist_ok=True)


def _write_overlays(client: Client, described: Description, item: Item, answer: Prediction, folder: Path) -> None:
    """One PNG for each heat map, named after the item."""
    from PIL import Image

    from medserve.overlay import opened, overlay

    for name, heatmap in answer.heatmaps.items():
        sent = item.inputs[name]
        picture = opened(sent.read_bytes() if isinstance(sent, Path) else bytes(sent))  # type: ignore[arg-type]
        caption = f"{answer.prediction}   {answer.confidence or 0:.3f}   not for diagnosis"
        if picture is None:  # DICOM, say: the picture as the network saw it
            picture = Image.fromarray(client.seen(described.name, item.inputs)[name])
            caption += "   as the network saw it: squared"
        overlay(picture, heatmap, caption).save(_free(folder, f"{item.name}-{described.name}-{name}"))


def _free(folder: Path, name: str) -> Path:
    """A file that is not there yet: two items may have one name."""
    plain = re.sub(r"[^\w.=-]+", "_", name).strip("_.")[-120:]
    found, count = folder / f"{plain}.png", 1
    while found.exists():
        count += 1
        found = folder / f"{plain}-{count}.png"
    return found
