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

# By the ensemble's input: what the lines send.
_PICTURE = Path(__file__).resolve().parent.parent / "examples" / "phantom.png"
_EXAMPLES: dict[str, str | Path] = {"image": _PICTURE if _PICTURE.is_file() else Path("PICTURE.png"), "smiles": "CCO"}


def banner(repository: Repository, models: Sequence[str], cards: Iterable[Card], address: Address) -> str:
    """Lines that work when pasted into a shell in the checkout."""
    untrained = {card.model for card in cards if not card.weights.trained}
    lines = [
        "",
        f"READY  http://{address.host}:{address.http}   grpc://{address.host}:{address.grpc}   "
        f"metrics http://{address.host}:{address.metrics}/metrics",
    ]
    for model in models:
        mark = "   weights: UNTRAINED, its answers mean nothing" if model in untrained else ""
        lines += ["", f"{model}: {_parameter(repository, model, 'task')}{mark}"]
        lines += [f"  {line}" for line in _lines(repository, model, address)]
    return "\n".join([*lines, "", "Ctrl-C drains and stops."])


def _lines(repository: Repository, model: str, address: Address) -> list[str]:
    inputs = [tensor.name for tensor in repository.configs[model].input]
    url = f"http://{address.host}:{address.http}/v2/models/{model}"
    grpc = f"--url grpc://{address.host}:{address.grpc}"
    sent = {name: _typed(_EXAMPLES[name]) for name in inputs if name in _EXAMPLES}
    files = [name for name in sent if isinstance(_EXAMPLES[name], Path)]
    body = json.dumps({name: "%s" if name in files else value for name, value in sent.items()})
    if files:
        encoded = " ".join(f'"$(base64 -w0 {sent[name]})"' for name in files)
        curl = f"printf '{body}' {encoded} | curl -s -d @- {url}/generate"
    else:
        curl = f"curl -s -d '{body}' {url}/generate"
    return [curl, f"{_typed(Path(sys.prefix, 'bin', 'medserve'))} predict {model} {' '.join(sent.values())} {grpc}"]


def _typed(value: str | Path) -> str:
    """What one would type for it in this folder."""
    if isinstance(value, Path) and value.is_relative_to(Path.cwd()):
        value = value.relative_to(Path.cwd())
    return shlex.quote(str(value))


def _parameter(repository: Repository, model: str, key: str) -> str:
    return repository.configs[model].parameters[key].string_value
