"""What is printed once the server is ready: for each model a curl line and a client line."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from report.card import Card
from server.repository import Repository
from server.triton import Address

_PHANTOM = Path(__file__).resolve().parent.parent / "examples" / "phantom.png"
_PICTURE = _PHANTOM if _PHANTOM.is_file() else Path("PICTURE.png")
_EXAMPLES: dict[str, str | Path] = {"smiles": "CCO"}  # by the ensemble's input; any other takes a picture


def banner(repository: Repository, models: Sequence[str], cards: Iterable[Card], address: Address) -> str:
    """Lines that work when pasted into a shell in the checkout."""
    by_model = {card.model: card for card in cards}
    lines = [
        "",
        f"READY  http://{address.host}:{address.http}   grpc://{address.host}:{address.grpc}   "
        f"metrics http://{address.host}:{address.metrics}/metrics",
    ]
    for model in models:
        lines += ["", f"{model}: {_said(by_model.get(model))}"]
        lines += [f"  {line}" for line in _lines(repository, model, address)]
    return "\n".join([*lines, "", "Ctrl-C drains and stops."])


def _said(card: Card | None) -> str:
    """The task; somebody else's ensemble beside ours has no card."""
    if card is None:
        return "no card"
    return card.declaration.task + ("" if card.weights.trained else "   weights: UNTRAINED, its answers mean nothing")


def _lines(repository: Repository, model: str, address: Address) -> list[str]:
    inputs = [tensor.name for tensor in repository.configs[model].input]
    url = f"http://{address.host}:{address.http}/v2/models/{model}"
    grpc = f"--url grpc://{address.host}:{address.grpc}"
    sent = {name: _typed(_EXAMPLES.get(name, _PICTURE)) for name in inputs}
    files = [name for name in sent if isinstance(_EXAMPLES.get(name, _PICTURE), Path)]
    body = json.dumps({name: "%s" if name in files else value for name, value in sent.items()})
    if files:
        encoded = " ".join(f'"$(base64 -w0 {sent[name]})"' for name in files)
        curl = f"printf '{body}' {encoded} | curl -s -d @- {url}/generate"
    else:
        curl = f"curl -s -d '{body}' {url}/generate"
    several = len(sent) > 1
    given = " ".join(f"{name}={value}" if several else value for name, value in sent.items())
    return [curl, f"{_typed(Path(sys.prefix, 'bin', 'medserve'))} predict {model} {given} {grpc}"]


def _typed(value: str | Path) -> str:
    """What one would type for it in this folder."""
    if isinstance(value, Path) and value.is_relative_to(Path.cwd()):
        value = value.relative_to(Path.cwd())
    return shlex.quote(str(value))
