"""python -m benchmarks.peers: what MedServe is compared with, installed, served and checked.

install [NAME…]       make their environments
serve NAME VARIANT    in front, until Ctrl-C or SIGTERM
check [NAME…]         each must answer what the exported FP32 graph answers
settings [NAME…]      what was chosen for each, on whose advice, and the lines that such a service takes
"""

from __future__ import annotations

import argparse
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.peers.environments import NotInstalled, install
from benchmarks.peers.peer import Peer
from benchmarks.peers.reference import Reference
from benchmarks.peers.registry import PEERS, select
from benchmarks.peers.running import PeerError, running
from benchmarks.peers.task import VARIANTS, Variant
from preprocess.rejection import Rejected

TOLERANCES: dict[Variant, float] = {"documented": 1e-3, "engine": 0.05}
SUFFIXES = (".png", ".jpg", ".jpeg")


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns 1 where a peer is not what it should be."""
    options = _options(arguments)
    if options.command == "serve":
        return _serve(options)
    try:
        peers = select(options.names)
    except ValueError as exc:
        print(exc, file=sys.stderr)
        return 1
    if options.command == "install":
        return max(map(_install, peers))
    if options.command == "settings":
        for peer in peers:
            print(f"{peer.name}: {peer.version}, {peer.lines()} lines", *peer.settings, sep="\n  ")
        return 0
    return _check(peers, options)


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.peers", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True)
    made = {name: commands.add_parser(name) for name in ("install", "serve", "check", "settings")}
    for name in ("install", "check", "settings"):
        made[name].add_argument("names", nargs="*", metavar="NAME", help=", ".join(PEERS))
    for name in ("serve", "check"):
        made[name].add_argument("--checkpoint", type=Path, required=True)
        made[name].add_argument("--repository", type=Path, required=True)
    made["serve"].add_argument("name", choices=list(PEERS))
    made["serve"].add_argument("variant", choices=VARIANTS)
    made["serve"].add_argument("--port", type=int, default=8100)
    made["serve"].add_argument("--workers", type=int, default=0, help="0: as the peer's documentation advises")
    made["check"].add_argument("--pictures", type=Path, required=True)
    return parser.parse_args(arguments)


def _install(peer: Peer) -> int:
    try:
        install(peer)
    except subprocess.CalledProcessError as exc:
        print(f"{peer.name}: not installed: {exc}", flush=True)
        return 1
    print(f"{peer.name}: {peer.version} installed", flush=True)
    return 0


def _serve(options: argparse.Namespace) -> int:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # as a Ctrl-C: the block ends the tree
    peer = PEERS[options.name]
    try:
        with running(
            peer,
            options.variant,
            checkpoint=options.checkpoint,
            repository=options.repository,
            port=options.port,
            workers=options.workers,
            verbose=True,
        ) as service:
            print(f"{peer.name}, {options.variant}: http://127.0.0.1:{service.port}{peer.path}", flush=True)
            while True:
                signal.pause()
    except KeyboardInterrupt:
        return 0
    except (NotInstalled, PeerError) as exc:
        print(exc, file=sys.stderr)
        return 1


def _check(peers: Sequence[Peer], options: argparse.Namespace) -> int:
    expected = _expected(options.pictures, Reference(options.repository))
    print(f"{len(expected)} pictures: {', '.join(file.name for file in expected)}", flush=True)
    failed = 0
    for peer in peers:
        for variant in peer.variants:
            try:
                with running(peer, variant, checkpoint=options.checkpoint, repository=options.repository) as service:
                    found = {file: service.ask(file.read_bytes()) for file in expected}
                    count = len(service.processes())
            except (NotInstalled, PeerError, subprocess.CalledProcessError) as exc:
                failed += 1
                print(f"{peer.name:10} {variant:10} FAILED: {exc}", flush=True)
                continue
            largest = max(
                abs(one - other) for file in expected for one, other in zip(found[file], expected[file], strict=True)
            )
            missed = largest > TOLERANCES[variant]
            failed += missed
            print(
                f"{peer.name:10} {variant:10} {'FAILED' if missed else 'ok'}: largest Δp {largest:.6f} "
                f"(at most {TOLERANCES[variant]:g}); {count} processes; {peer.version}",
                flush=True,
            )
    return 1 if failed else 0


def _expected(pictures: Path, reference: Reference, count: int = 5) -> dict[Path, list[float]]:
    """The reference's answers to pictures spread over the folder, without those that it refuses."""
    files = sorted(file for file in pictures.rglob("*") if file.suffix.lower() in SUFFIXES)
    found: dict[Path, list[float]] = {}
    for file in files[:: max(1, len(files) // count)]:
        try:
            found[file] = reference(file.read_bytes())
        except Rejected as rejected:
            print(f"{file.name}: {rejected}", file=sys.stderr)
    return dict(list(found.items())[:count])


if __name__ == "__main__":
    sys.exit(main())
