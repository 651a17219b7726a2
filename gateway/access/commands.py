"""`medserve keys`: new, check."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer

from gateway.access.errors import AccessError
from gateway.access.keys import new_key, read_file
from gateway.access.keys_file import read_keys

NOT_TRIED = 2
app = typer.Typer(
    name="keys", help="The API keys of a MedServe gateway.", no_args_is_help=True, pretty_exceptions_enable=False
)


@app.command()
def new(
    id_: Annotated[str, typer.Option("--id", help="who gets it, as the audit log will say: ward-3")],
    models: Annotated[str, typer.Option(help="names separated by commas, or *")] = "*",
    scopes: Annotated[str, typer.Option(help="of feedback, metrics, drift, separated by commas")] = "",
    rate_per_s: Annotated[float | None, typer.Option(help="requests a second in the long run")] = None,
    burst: Annotated[int | None, typer.Option(help="requests at once after a pause")] = None,
    concurrency: Annotated[int | None, typer.Option(help="requests under way")] = None,
    expires_days: Annotated[int | None, typer.Option(min=1, max=36_500, help="for so many days")] = None,
) -> None:
    """Print an entry of GATEWAY_KEYS_FILE, and on stderr, this once, the key that it stands for."""
    secret, sha256 = new_key()
    expires = datetime.now(UTC) + timedelta(days=expires_days) if expires_days else None
    lines = [
        "[[key]]",
        f"id = {_text(id_)}",
        f"sha256 = {_text(sha256)}",
        f"models = {_texts(models.split(','))}",
        f"scopes = {_texts(scopes.split(','))}" if scopes else "",
        f"rate_per_s = {rate_per_s}" if rate_per_s is not None else "",
        f"burst = {burst}" if burst is not None else "",
        f"concurrency = {concurrency}" if concurrency is not None else "",
        f"expires = {expires:%Y-%m-%dT%H:%M:%SZ}" if expires else "",
    ]
    entry = "\n".join(line for line in lines if line) + "\n"
    try:
        read_file(entry.encode())
    except (AccessError, UnicodeEncodeError) as exc:
        _end(str(exc))
    # The secret on another stream: what is written to a file is the entry alone.
    print(f"For {id_}, and shown this once:\n  {secret}\nFor GATEWAY_KEYS_FILE:", file=sys.stderr, flush=True)
    print(entry, end="")


@app.command()
def check(file: Annotated[Path, typer.Argument(help="as GATEWAY_KEYS_FILE names it")]) -> None:
    """Tell what a file of keys says, before it replaces another. Ends with 2 where the gateway would not take it."""
    try:
        keys = read_keys(file)
    except (AccessError, OSError) as exc:
        _end(str(exc))
    now = datetime.now(UTC)
    for key in keys:
        ends = "" if key.expires is None else f", {'expired' if key.expires <= now else 'until'} {key.expires:%Y-%m-%d}"
        print(f"{key.id}: models {', '.join(key.models)}; scopes {', '.join(key.scopes) or 'none'}{ends}")


def _end(sentence: str) -> None:
    print(f"medserve keys: {sentence}", file=sys.stderr)
    raise typer.Exit(NOT_TRIED)


def _texts(values: Sequence[str]) -> str:
    return f"[{', '.join(_text(value.strip()) for value in values)}]"


def _text(value: str) -> str:
    """As TOML: what could end a text is no part of a name, and `read_file` says so."""
    if not value.isprintable() or '"' in value or "\\" in value:
        _end("expected names of printable characters, without quotes and backslashes, got another")
    return f'"{value}"'
