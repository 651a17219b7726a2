"""All commands, and what becomes of errors: one sentence on stderr, never a traceback."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import typer

from medserve.cli.bench import bench
from medserve.cli.predict import predict
from medserve.cli.show import describe, health, models
from medserve.errors import MedServeError

app = typer.Typer(
    name="medserve", help="Client of a MedServe deployment.", no_args_is_help=True, pretty_exceptions_enable=False
)
for command in (predict, models, describe, health, bench):
    app.command()(command)


def run(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit status."""
    try:
        status = app(args=arguments, prog_name="medserve", standalone_mode=False)
    except typer.Exit as exit_:
        return exit_.exit_code
    except typer.Abort:
        return 130
    except MedServeError as exc:
        print(f"medserve: {exc}", file=sys.stderr)
        return 1
    except (ValueError, ImportError, OSError) as exc:
        print(f"medserve: {exc}", file=sys.stderr)
        return 2
    except Exception as exc:
        if not hasattr(exc, "format_message"):  # typer's own usage errors have it
            raise
        if told := exc.format_message():  # none where help was printed
            print(f"medserve: {told}", file=sys.stderr)
        return 2
    return status if isinstance(status, int) else 0
