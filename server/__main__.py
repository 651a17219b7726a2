"""python -m server: serve an exported model repository on this machine until Ctrl-C or SIGTERM.

serve     (or nothing) does so
explain   tells what a launch here would use, why, and which variable changes it
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

from report.card import Card
from server import choices, preflight
from server.banner import banner
from server.explain import explained
from server.health import Health, told
from server.installation import Installation, InstallationError, find_triton
from server.leftovers import clean_up, own_tag, prune_cache
from server.machine import Machine
from server.profiles import AUTO, profile
from server.repository import Repository, RepositoryError
from server.sizing import VARIABLES, SizingError, numbers, sized
from server.supervisor import CACHE, Plan, Stop, serve
from server.triton import Address, TritonError


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit status: 0 after a drain, 1 after a message on stderr."""
    options = _parser().parse_args(arguments)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _stop)
    tag = own_tag()
    try:
        _run(options, tag)
    except (preflight.PreflightError, RepositoryError, SizingError, TritonError, InstallationError, OSError) as exc:
        print(f"serve: {exc}", file=sys.stderr)
        return 1
    except Stop:  # before there was anything to drain
        pass
    finally:
        clean_up(options.runtime, tag)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m server", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    variable = os.environ.get
    parser.add_argument("command", nargs="?", choices=("serve", "explain"), default="serve")
    parser.add_argument("--repository", type=Path, default=Path("model_repository"))
    parser.add_argument("--runtime", type=Path, default=Path(".run"), help="folder for this run's own files")
    parser.add_argument("--models", default=variable("MODELS", ""), help="names, separated by commas, or all")
    parser.add_argument(
        "--profile",
        default=variable("PROFILE", AUTO),
        help='configs to serve: tensorrt, cuda, cpu (this CPU\'s own choice), "" (plain FP32), or auto: the first of '
        "these that this machine can serve",
    )
    parser.add_argument("--host", default=variable("HOST") or "127.0.0.1")
    parser.add_argument("--http-port", default=variable("HTTP_PORT") or "8000")
    parser.add_argument("--grpc-port", default=variable("GRPC_PORT") or "8001")
    parser.add_argument("--metrics-port", default=variable("METRICS_PORT") or "8002")
    parser.add_argument("--health-port", default=variable("HEALTH_PORT") or "8003", help="for probes: /live, /ready")
    parser.add_argument(
        "--drain-delay-s", default=variable("DRAIN_DELAY_S") or "0", help="answer on after SIGTERM, no longer ready"
    )
    for name in VARIABLES:
        parser.add_argument(f"--{name.lower().replace('_', '-')}", default=variable(name, ""), help="see explain")
    parser.add_argument("--allow-remote", action="store_true", default=variable("ALLOW_REMOTE") == "1")
    parser.add_argument("--verbose", action="store_true", default=variable("VERBOSE") == "1", help="Triton's whole log")
    return parser


def _run(options: argparse.Namespace, tag: str) -> None:
    triton, machine = find_triton(), Machine.this()
    plain = Repository.read(options.repository)
    models = plain.chosen(list(dict.fromkeys(filter(None, map(str.strip, options.models.split(","))))))
    needed = plain.closure(models)
    chosen = profile(options.profile, plain, needed, machine, gpus=triton.gpus)
    read = Repository.read(options.repository, chosen.name)
    given = {name: getattr(options, name.lower()) for name in VARIABLES}
    derived = numbers(machine, read, needed, given)
    repository = sized(read, derived)
    if options.command == "explain":
        print(explained(machine, chosen, repository, needed, derived))
        return
    print(f"serve: profile {chosen}", file=sys.stderr, flush=True)
    preflight.check_platform()
    host = preflight.resolved_host(options.host, allow_remote=options.allow_remote or triton.gpus)
    names = ("HTTP_PORT", "GRPC_PORT", "METRICS_PORT", "HEALTH_PORT")
    ports = {name: preflight.port_number(name, getattr(options, name.lower())) for name in names}
    address = Address(host, ports["HTTP_PORT"], ports["GRPC_PORT"], ports["METRICS_PORT"])
    preflight.check_runs_programs(options.runtime)
    if left := clean_up(options.runtime):
        print(f"serve: removed {left} things that an earlier run left behind", file=sys.stderr)
    preflight.check_ports(host, ports)
    cards = _check(repository, needed, machine, triton)
    prune_cache(options.runtime / CACHE, repository.folder)
    plan = Plan(
        triton=triton,
        repository=repository,
        needed=needed,
        address=address,
        runtime=options.runtime.resolve(),
        tag=tag,
        verify=lambda: _check_files(Repository.read(repository.folder, repository.profile), needed, machine),
        verbose=options.verbose,
        drain_delay_s=preflight.seconds("DRAIN_DELAY_S", options.drain_delay_s),
    )
    health = Health(host, address.http, needed, repository.profile, machine.memory_mb)
    with told(health, host, ports["HEALTH_PORT"]):
        serve(plan, health, lambda: print(banner(repository, models, cards, address), flush=True))


def _check(repository: Repository, needed: Sequence[str], machine: Machine, triton: Installation) -> list[Card]:
    choices.check_servable(repository, needed, machine.gpu, gpus=triton.gpus)
    preflight.check_shared_memory(repository.workers(needed))
    cards = _check_files(repository, needed, machine)
    for card in cards:
        if not card.weights.trained:
            print(f"serve: {card.model}: weights: untrained; its answers mean nothing", file=sys.stderr)
    return cards


def _check_files(repository: Repository, needed: Sequence[str], machine: Machine) -> list[Card]:
    """The cards of what is there now: before the first start, and before each after a death."""
    cards = preflight.check_artefacts(repository.artefacts(needed, machine.gpu))
    choices.check_choices(cards, repository, machine.cpu)
    return cards


def _stop(_number: int, _frame: FrameType | None) -> None:
    raise Stop


if __name__ == "__main__":
    sys.exit(main())
