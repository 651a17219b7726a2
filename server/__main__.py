"""python -m server: serve an exported model repository on this machine until Ctrl-C or SIGTERM.

serve     (or nothing) does so
explain   tells what a launch here would use, why, and which variable changes it
"""

from __future__ import annotations

import argparse
import os
import shlex
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

from report.answer import TENSORRT_PROFILE
from report.card import Card
from server import choices, preflight
from server.banner import model_lines, ready_lines
from server.explain import explained
from server.health import Health, told
from server.installation import Installation, InstallationError, find_triton
from server.leftovers import clean_up, own_tag, prune_cache
from server.machine import Machine
from server.profiles import AUTO, Profile, profile
from server.publisher import Publisher, PublisherError, start
from server.repository import Repository, RepositoryError
from server.sizing import VARIABLES, Number, SizingError, numbers, sized
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
    except (
        preflight.PreflightError, RepositoryError, SizingError, TritonError, InstallationError, PublisherError, OSError
    ) as exc:  # fmt: skip
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
    parser.add_argument(
        "--publisher",
        default="",
        metavar="COMMAND",
        help="run this meanwhile, and serve each model as soon as it is published: see server.publisher",
    )
    parser.add_argument("--allow-remote", action="store_true", default=variable("ALLOW_REMOTE") == "1")
    parser.add_argument("--verbose", action="store_true", default=variable("VERBOSE") == "1", help="Triton's whole log")
    return parser


@dataclass(frozen=True, slots=True, kw_only=True)
class _Launch:
    """One launch: reads, verifies and announces models for the supervisor."""

    folder: Path
    profile: str
    numbers: Sequence[Number]
    machine: Machine
    address: Address
    cards: dict[str, Card] = field(default_factory=dict)
    networks: dict[str, tuple[str, str]] = field(default_factory=dict)

    def read(self) -> Repository:
        """The repository as it is now, with the configs that are served."""
        return sized(choices.as_published(Repository.read(self.folder, self.profile), self.machine.gpu), self.numbers)

    def verify(self, repository: Repository, names: Sequence[str]) -> None:
        """Raises PreflightError: an artefact of these models is not its card's, or was tuned for another CPU."""
        cards = preflight.check_artefacts(repository.artefacts(names, self.machine.gpu))
        choices.check_choices(cards, repository, self.machine.cpu)
        self.cards.update((card.model, card) for card in cards)

    def model(self, repository: Repository, name: str) -> None:
        """Print what can be sent to this model, which is READY, and note what runs it."""
        for network, file, runtime in choices.runtimes(repository, [name], self.machine.gpu):
            self.networks[network] = file, runtime
        card = self.cards.get(name)
        if card is not None and not card.weights.trained:
            print(f"serve: {name}: weights: untrained; its answers mean nothing", file=sys.stderr)
        print(model_lines(repository, name, card, self.address), flush=True)

    def ready(self) -> None:
        """Print where the server is."""
        print(ready_lines(self.address), flush=True)


def _run(options: argparse.Namespace, tag: str) -> None:
    triton, machine = find_triton(), Machine.this()
    if options.command == "explain":
        _explain(options, triton, machine)
        return
    preflight.check_platform()
    choices.check_profile(options.profile, machine.gpu, triton)  # before anything is exported for it
    host = preflight.resolved_host(options.host, allow_remote=options.allow_remote or triton.image)
    names = ("HTTP_PORT", "GRPC_PORT", "METRICS_PORT", "HEALTH_PORT")
    ports = {name: preflight.port_number(name, getattr(options, name.lower())) for name in names}
    preflight.check_runs_programs(options.runtime)
    if left := clean_up(options.runtime):
        print(f"serve: removed {left} things that an earlier run left behind", file=sys.stderr)
    preflight.check_ports(host, ports)
    address = Address(host, ports["HTTP_PORT"], ports["GRPC_PORT"], ports["METRICS_PORT"])
    with _published(options.publisher) as (publisher, planned):  # it may rewrite configs until it has planned
        models, chosen, needed, derived = _chosen(options, triton, machine)
        print(f"serve: profile {chosen}", file=sys.stderr, flush=True)
        # Resolved once: a link to the newest plans may point elsewhere when this server's Triton is restarted.
        launch = _Launch(
            folder=options.repository.resolve(), profile=chosen.name, numbers=derived, machine=machine, address=address
        )
        repository = launch.read()
        if chosen.name == TENSORRT_PROFILE:
            for name in (name for name in needed if repository.configs[name].backend == "onnxruntime"):
                print(
                    f"serve: {name}: no plan for compute capability {machine.gpu}: served by onnxruntime on CUDA, "
                    f"{repository.configs[name].default_model_filename}",
                    file=sys.stderr,
                    flush=True,
                )
        choices.check_servable(repository, needed, machine.gpu, triton)
        preflight.check_shared_memory(repository.workers(needed))
        prune_cache(options.runtime / CACHE, repository.folder)
        plan = Plan(
            triton=triton,
            read=launch.read,
            models=models,
            address=address,
            runtime=options.runtime.resolve(),
            tag=tag,
            verify=launch.verify,
            verbose=options.verbose,
            drain_delay_s=preflight.seconds("DRAIN_DELAY_S", options.drain_delay_s),
        )
        health = Health(host, address.http, needed, chosen.name, machine.memory_mb, launch.networks)
        expected = [name for name in planned if name in models]
        with told(health, host, ports["HEALTH_PORT"]):
            serve(plan, health, launch, expected, publisher)


def _chosen(
    options: argparse.Namespace, triton: Installation, machine: Machine
) -> tuple[list[str], Profile, list[str], list[Number]]:
    """(ensembles that are requested, profile, every model to load, sizes)."""
    plain = Repository.read(options.repository)
    models = plain.chosen(list(dict.fromkeys(filter(None, map(str.strip, options.models.split(","))))))
    needed = plain.closure(models)
    chosen = profile(options.profile, plain, needed, machine, triton)
    given = {name: getattr(options, name.lower()) for name in VARIABLES}
    return models, chosen, needed, numbers(machine, Repository.read(options.repository, chosen.name), needed, given)


def _explain(options: argparse.Namespace, triton: Installation, machine: Machine) -> None:
    _, chosen, needed, derived = _chosen(options, triton, machine)
    repository = sized(Repository.read(options.repository, chosen.name), derived)
    print(explained(machine, chosen, repository, needed, derived))


@contextmanager
def _published(command: str) -> Iterator[tuple[Publisher | None, Sequence[str]]]:
    """The program that publishes models, while it runs, and those that it will; (None, nothing) without a command."""
    if not command:
        yield None, ()
        return
    with closing(Publisher(shlex.split(command), start)) as publisher:
        yield publisher, publisher.planned()


def _stop(_number: int, _frame: FrameType | None) -> None:
    raise Stop


if __name__ == "__main__":
    sys.exit(main())
