"""What is printed: for each model that becomes ready a curl line and a client line, and a line when all are."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path

from report.card import Card
from server.repository import Repository
from server.triton import Address

_PHANTOM = Path(__file__).resolve().parent.parent / "examples" / "phantom.png"
_PICTURE = _PHANTOM if _PHANTOM.is_file() else Path("PICTURE.png")
_EXAMPLES: dict[str, str | Path] = {"smiles": "CCO"}  # by the ensemble's input; any other takes a picture


def model_lines(repository: Repository, model: str, card: Card | None, address: Address) -> str:
    """Lines about one model that work when pasted into a shell in the checkout."""
    return "\n".join(["", f"{model}: {_said(card)}", *(f"  {line}" for line in _lines(repository, model, address))])


def ready_lines(address: Address) -> str:
    """The last lines: every model is READY."""
    return (
        f"\nREADY  http://{address.host}:{address.http}   grpc://{address.host}:{address.grpc}   "
        f"metrics http://{address.host}:{address.metrics}/metrics\n\nCtrl-C drains and stops."
    )


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
