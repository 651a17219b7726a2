"""medserve predict MODEL INPUT…: what a model says of each input."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from medserve.client import Client, Sendable
from medserve.errors import InvalidInput, MedServeError
from medserve.prediction import Prediction


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit status: 1 if any input failed, 2 if none could be tried."""
    options = _parser().parse_args(arguments)
    try:
        with Client(options.url, timeout_s=options.timeout_s) as client:
            return _predict_all(client, options)
    except MedServeError as exc:
        print(f"medserve: {exc}", file=sys.stderr)
        return 1
    except (ValueError, ImportError) as exc:
        print(f"medserve: {exc}", file=sys.stderr)
        return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="medserve", description="Client of a MedServe deployment.")
    commands = parser.add_subparsers(dest="command", required=True)
    predict = commands.add_parser("predict", help="what a model says of each input")
    predict.add_argument("model")
    predict.add_argument(
        "inputs",
        nargs="+",
        metavar="INPUT",
        help="a file, or a SMILES; for a model with several inputs name=FILE of one item, such as ct=a.dcm mri=b.png",
    )
    predict.add_argument("--json", action="store_true", help="print the reports, one JSON object a line")
    predict.add_argument("--heatmap", type=Path, metavar="OUT.png", help="write the picture under its heat map")
    predict.add_argument("--url", default=os.environ.get("MEDSERVE_URL", "grpc://127.0.0.1:8001"))
    predict.add_argument("--timeout-s", type=float, default=120.0)
    return parser


def _predict_all(client: Client, options: argparse.Namespace) -> int:
    described = client.describe(options.model)
    items = list(_items(options.model, [spec["name"] for spec in described["inputs"]], options.inputs))
    if options.heatmap:
        from medserve import overlay  # noqa: F401  says at once if Pillow is missing

        if len(items) > 1:
            raise ValueError(f"--heatmap: expected one input, got {len(items)}")
        if options.heatmap.suffix.lower() != ".png" or not options.heatmap.absolute().parent.is_dir():
            raise ValueError(f"--heatmap: expected a .png in a folder that is there, got {options.heatmap}")
        if not any(spec["heatmap"] for spec in described["inputs"]):
            raise ValueError(f"--heatmap: expected a model of pictures, got {options.model}")
    return max([_predict(client, options, described, given) for given in items])


def _items(model: str, names: Sequence[str], given: Sequence[str]) -> Iterator[dict[str, str]]:
    """What stands on the command line, by input name, item by item."""
    if len(names) == 1:
        yield from ({names[0]: text} for text in given)
        return
    pairs = [text.partition("=") for text in given]
    if wrong := [text for text, (name, equals, _) in zip(given, pairs, strict=True) if not equals or name not in names]:
        raise ValueError(f"{model}: expected {' '.join(f'{name}=FILE' for name in names)}, got {' '.join(wrong)}")
    if len({name for name, *_ in pairs}) < len(pairs):
        raise ValueError(f"{model}: expected each of {', '.join(names)} once, got {' '.join(given)}")
    yield {name: text for name, _, text in pairs}


def _predict(
    client: Client, options: argparse.Namespace, described: Mapping[str, Any], given: Mapping[str, str]
) -> int:
    said = " ".join(given.values())
    try:
        sent = {name: _sendable(name, text, described) for name, text in given.items()}
        answer = client.predict(options.model, **sent)
        print(json.dumps(answer.to_dict(), ensure_ascii=False) if options.json else _readable(said, answer))
        if options.heatmap:
            _write_overlays(client, options, described, sent, answer)
    except (MedServeError, OSError) as exc:
        print(f"medserve: {said}: {exc}", file=sys.stderr)
        return 1
    return 0


def _sendable(name: str, text: str, described: Mapping[str, Any]) -> Sendable:
    """The file of this name for a picture; anything else is text unless it is a file."""
    if os.path.isfile(text):
        return Path(text)
    if any(spec["pixels"] for spec in described["inputs"] if spec["name"] == name):
        raise InvalidInput(f"{name}: expected a file, found none at {text}")
    return text


def _write_overlays(
    client: Client,
    options: argparse.Namespace,
    described: Mapping[str, Any],
    sent: Mapping[str, Sendable],
    answer: Prediction,
) -> None:
    """One file, or one for each picture with the input's name behind a dash."""
    from PIL import Image

    from medserve.overlay import opened, overlay

    pictures = [spec for spec in described["inputs"] if spec["heatmap"] and spec["name"] in sent]
    out: Path = options.heatmap
    for spec in pictures:
        name, path = spec["name"], sent[spec["name"]]
        picture = opened(path.read_bytes()) if isinstance(path, Path) else None
        caption = f"{answer.prediction}   {answer.confidence or 0:.3f}   not for diagnosis"
        if picture is None:  # DICOM, say: the picture as the network saw it
            picture = Image.fromarray(client.seen(options.model, **sent)[name])
            caption += "   as the network saw it: squared"
        target = out.with_stem(f"{out.stem}-{name}") if len(described["inputs"]) > 1 else out
        overlay(picture, answer.outputs[spec["heatmap"]], caption).save(target)


def _readable(said: str, answer: Prediction) -> str:
    """A few lines for a person."""
    report = dict(answer.report)
    head = f"{said}: {answer.prediction}"
    head += f" ({answer.confidence:.3f})" if answer.confidence is not None else f" {report['unit']}"
    lines = [head]
    skipped = ("model", "prediction", "confidence", "unit", "needs_review", "review_reasons", "disclaimer",
               "timestamp", "provenance")  # fmt: skip
    for name, value in report.items():
        if name not in skipped and value not in (None, []):
            lines.append(f"  {name}: {_short(value)}")
    reasons = "; ".join(report["review_reasons"])
    lines.append(f"  needs review: {f'yes ({reasons})' if answer.needs_review else 'no'}")
    lines.append(f"  {report['disclaimer']}")
    return "\n".join(lines)


def _short(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_short(one)}" for name, one in value.items())
    if isinstance(value, list):
        return "; ".join(map(_short, value))
    return f"{value:.3f}" if isinstance(value, float) else str(value)


if __name__ == "__main__":
    sys.exit(main())
