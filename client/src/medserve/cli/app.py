"""All commands, and what becomes of errors: one sentence on stderr, never a traceback."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.metadata import entry_points

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


# What others bring: `[project.entry-points."medserve.commands"]`, name = "module:a typer.Typer".
COMMANDS = "medserve.commands"


def _extend(given: Sequence[str]) -> None:
    """Add the commands of other packages: the one that is asked for, or all where help is."""
    wanted = given[0] if given else "--help"
    for found in entry_points(group=COMMANDS):
        known = {group.name for group in app.registered_groups}
        if found.name not in known and wanted in (found.name, "--help"):
            app.add_typer(found.load(), name=found.name)


def run(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit status."""
    given = sys.argv[1:] if arguments is None else list(arguments)
    try:
        _extend(given)
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
