"""`drift report`: what a running gateway says of drift, on paper."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import httpx
import msgspec
import typer

import gateway.drift.report as papers
from gateway.drift.state import State

TIMEOUT_S = 30.0
NO_DRIFT, DRIFT, NOT_TRIED = 0, 1, 2

app = typer.Typer(help="Drift of inputs and answers, and performance by radiologists' labels.", no_args_is_help=True)


class NotTried(Exception):
    """There is nothing to report: a sentence."""


@app.callback()
def _group() -> None:
    """Keeps `report` a command of its own."""


@app.command()
def report(
    url: Annotated[str, typer.Option(help="Of the running gateway, such as http://127.0.0.1:8080.")],
    out: Annotated[Path, typer.Option(help="Folder for drift.html and drift.md; it is made.")],
    key_file: Annotated[Path | None, typer.Option(help="File with the API key; none where none is asked for.")] = None,
) -> None:
    """Write drift.html and drift.md. Ends with 0: no drift, 1: drift, 2: it could not be tried."""
    try:
        found = ask(url, _key(key_file))
        _write(out, found, url)
    except NotTried as why:
        typer.echo(f"drift report: {why}", err=True)
        raise typer.Exit(NOT_TRIED) from why
    for name, model in found.models.items():
        for sentence in model.reasons:
            typer.echo(f"{name}: {sentence}")
    typer.echo(f"{out / 'drift.html'}: {'drift' if found.alert else 'no drift'}, {len(found.models)} models")
    raise typer.Exit(DRIFT if found.alert else NO_DRIFT)


def ask(url: str, key: str) -> State:
    """GET /drift.

    Raises:
        NotTried: nobody answers, or something else than a gateway.
    """
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    try:
        answer = httpx.get(f"{url.rstrip('/')}/drift", headers=headers, timeout=TIMEOUT_S)
    except (httpx.HTTPError, httpx.InvalidURL, UnicodeError) as failed:
        raise NotTried(f"{url}: expected a gateway's answer, got {type(failed).__name__}: {failed}") from failed
    if answer.status_code in (401, 403):
        raise NotTried(f"{url}/drift: this key may not read it (status {answer.status_code}). See --key-file.")
    if answer.status_code != 200:
        raise NotTried(f"{url}/drift: expected status 200, got {answer.status_code}. Is it a gateway's address?")
    try:
        return msgspec.json.decode(answer.content, type=State)
    except (msgspec.MsgspecError, UnicodeError) as other:
        raise NotTried(f"{url}/drift: expected a gateway's JSON, got something else: {other}") from other


def _key(file: Path | None) -> str:
    if file is None:
        return ""
    try:
        key = file.read_text("utf-8").strip()
    except (OSError, UnicodeError) as failed:
        raise NotTried(f"--key-file {file}: {failed}") from failed
    if not key or not key.isascii() or not key.isprintable() or " " in key:
        raise NotTried(f"--key-file {file}: expected one key of printable ASCII, got something else.")
    return key


def _write(folder: Path, found: State, source: str) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "drift.md").write_text(papers.markdown(found, source), "utf-8")
        (folder / "drift.html").write_text(papers.html(found, source), "utf-8")
    except OSError as failed:
        raise NotTried(f"--out {folder}: {failed}") from failed
