"""medserve models, describe and health: what a server says of itself."""

from __future__ import annotations

import json
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from medserve.cli.connection import TIMEOUT_S, URL, Authorities, Key, Timeout, Url, connect

AsJson = Annotated[bool, typer.Option("--json", help="JSON")]


def models(
    as_json: AsJson = False, url: Url = URL, timeout_s: Timeout = TIMEOUT_S, api_key: Key = None, ca: Authorities = None
) -> int:
    """List what can be asked."""
    with connect(url, timeout_s, api_key, ca) as client:
        found = client.models()
    if as_json:
        print(json.dumps({name: one.task for name, one in found.items()}, ensure_ascii=False))
        return 0
    table = Table("model", "inputs", "weights", "task", box=None, pad_edge=False)
    for name, one in found.items():
        inputs = ", ".join(sent.name + (" (optional)" if sent.optional else "") for sent in one.inputs)
        table.add_row(name, inputs, "trained" if one.trained else "UNTRAINED", one.task)
    Console().print(table)
    return 0


def describe(
    model: Annotated[str, typer.Argument(help="its name on the server")],
    as_json: AsJson = False,
    url: Url = URL,
    timeout_s: Timeout = TIMEOUT_S,
    api_key: Key = None,
    ca: Authorities = None,
) -> int:
    """Tell all that the server says of a model."""
    with connect(url, timeout_s, api_key, ca) as client:
        found = client.describe(model)
    if as_json:
        print(json.dumps(found.report, ensure_ascii=False))
        return 0
    lines = [f"{found.name}: {found.task}", f"weights: {'trained' if found.trained else 'UNTRAINED'}", "", "inputs"]
    lines += [f"  {sent.name}{' (optional)' if sent.optional else ''}: {sent.meaning}" for sent in found.inputs]
    lines += ["", "outputs", *(f"  {name}: {meaning}" for name, meaning in found.outputs.items())]
    lines += ["", f"answer: {', '.join(found.labels) or found.unit}", "", f"intended use: {found.intended_use}"]
    lines += ["", "limits", *(f"  {limit}" for limit in found.limits)] if found.limits else []
    print("\n".join([*lines, "", found.disclaimer]))
    return 0


def health(
    as_json: AsJson = False, url: Url = URL, timeout_s: Timeout = 5.0, api_key: Key = None, ca: Authorities = None
) -> int:
    """Whether the server and each model can be used now; exit status 1 if not."""
    with connect(url, timeout_s, api_key, ca) as client:
        found = client.health()
    if as_json:
        told = {"live": found.live, "ready": found.ready, "models": dict(found.models), "reason": found.reason}
        print(json.dumps(told, ensure_ascii=False))
    else:
        print(f"live: {'yes' if found.live else 'no'}\nready: {'yes' if found.ready else 'no'}")
        print("\n".join(f"  {name}: {'ready' if ready else 'NOT READY'}" for name, ready in found.models.items()))
        if found.reason:
            print(found.reason)
    return 0 if found.ready and all(found.models.values()) else 1
