"""`medserve audit`: verify, export, prune.

Exit status: 0 the log is sound; 1 it is not, and the place is named; 2 it could not be tried.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer

from gateway.audit.errors import AuditError, ChainBroken
from gateway.audit.export import Wanted, export_lines
from gateway.audit.opening import DEFAULT_URL, chain_key, open_store
from gateway.audit.retention import prune as prune_lines
from gateway.audit.store import Store
from gateway.audit.verification import verify as verify_log

PATIENT_S = 600.0  # a command may wait for locks and long statements; a gateway may not
BROKEN, NOT_TRIED = 1, 2
app = typer.Typer(
    name="audit", help="The audit log of a MedServe gateway.", no_args_is_help=True, pretty_exceptions_enable=False
)
Url = Annotated[str, typer.Option(envvar="AUDIT_URL", help="sqlite:///file or postgresql://user@host/database")]
Time = Annotated[datetime | None, typer.Option(help="UTC")]


@app.command()
def verify(
    url: Url = DEFAULT_URL,
    expect_head: Annotated[
        str | None, typer.Option(help="a head noted earlier, NUMBER:HASH: the chain must contain it")
    ] = None,
) -> None:
    """Check every stored byte; print the head, to be noted elsewhere. AUDIT_KEY or AUDIT_KEY_FILE hold the secret."""
    with _store(url) as store:
        head = verify_log(store, expect_head)
        print(f"sound: lines {head.first} to {head.sequence}, {head.sequence - head.first + 1} in all, {head.method}")
        print(f"head {head}")


@app.command()
def export(
    url: Url = DEFAULT_URL,
    since: Time = None,
    until: Annotated[datetime | None, typer.Option(help="UTC; itself not included")] = None,
    model: Annotated[str | None, typer.Option(help="lines of this model only")] = None,
    to: Annotated[Path | None, typer.Option(help="a new file; stdout where left out")] = None,
) -> None:
    """Print lines as they are stored, oldest first: JSON, one each. It does not verify."""
    wanted = Wanted(since=_utc(since), until=_utc(until), model=model)
    with _store(url) as store, closing(export_lines(store, wanted)) as found:
        if to is None:
            _print(found)
            return
        with to.open("x", encoding="ascii", errors="backslashreplace") as file:
            file.writelines(f"{line}\n" for line in found)


@app.command()
def prune(
    older_than_days: Annotated[int, typer.Option(min=0, max=36_500, help="what is older is removed")],
    url: Url = DEFAULT_URL,
) -> None:
    """Remove old lines for good; what remains still verifies. Note the head that it prints."""
    with _store(url) as store:
        removed = prune_lines(store, datetime.now(UTC) - timedelta(days=older_than_days))
        with store.reading() as connection:
            head = store.head(connection)
        print(f"removed {removed}, kept lines {head.first} to {head.sequence}")
        print(f"head {head}")


@contextmanager
def _store(url: str) -> Iterator[Store]:
    """The log, and its errors as one sentence and an exit status."""
    try:
        store = open_store(url, key=chain_key(), timeout_s=PATIENT_S)
        try:
            yield store
        finally:
            store.close()
    except ChainBroken as exc:
        print(f"medserve audit: NOT SOUND: {exc}", file=sys.stderr)
        raise typer.Exit(BROKEN) from exc
    except (AuditError, OSError) as exc:
        print(f"medserve audit: {exc}", file=sys.stderr)
        raise typer.Exit(NOT_TRIED) from exc


def _print(found: Iterable[str]) -> None:
    try:
        for line in found:
            print(line.encode("ascii", "backslashreplace").decode())
        sys.stdout.flush()
    except BrokenPipeError:  # `| head` has seen enough; what Python flushes at its end must not complain either
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _utc(time: datetime | None) -> datetime | None:
    return None if time is None else time.replace(tzinfo=UTC)
