"""python -m benchmarks.peers: what MedServe is compared with, installed, served and checked.

install [NAME…]       make their environments
serve NAME VARIANT    in front, until Ctrl-C or SIGTERM
check [NAME…]         each must answer what the exported FP32 graph answers, on the loopback alone
settings [NAME…]      what was chosen for each, on whose advice, and the lines that such a service takes
compare [NAME…]       MedServe beside each of them, by turns
"""

from __future__ import annotations

import argparse
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from benchmarks.figures import write
from benchmarks.live import ServerEnded
from benchmarks.load.slo import Campaign
from benchmarks.load.traffic import files_description, items
from benchmarks.options import add_data, add_runs, end_on_signals
from benchmarks.peers.compare import TOLERANCES, Comparison
from benchmarks.peers.environments import NotInstalled, install
from benchmarks.peers.loop import IMAGE
from benchmarks.peers.peer import Peer
from benchmarks.peers.reference import Reference
from benchmarks.peers.registry import PEERS, select
from benchmarks.peers.report import Peers, Turn, missed, table
from benchmarks.peers.running import PeerError, listening, running
from benchmarks.peers.task import SPEC, VARIANTS, Variant
from benchmarks.setting import Setting

AT_ONCE = 16
PICTURES = 24  # of the model's typical files, of `compare`; `check` takes five of any
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
    return _check(peers, options) if options.command == "check" else _compare(peers, options)


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.peers", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True)
    made = {name: commands.add_parser(name) for name in ("install", "serve", "check", "settings", "compare")}
    for name in ("install", "check", "settings", "compare"):
        made[name].add_argument("names", nargs="*", metavar="NAME", help=", ".join(PEERS))
    for name in ("serve", "check", "compare"):
        made[name].add_argument("--checkpoint", type=_file, required=True)
        made[name].add_argument("--repository", type=Path, default=Path("model_repository"))
    made["serve"].add_argument("name", choices=list(PEERS))
    made["serve"].add_argument("variant", choices=VARIANTS)
    made["serve"].add_argument("--port", type=int, default=8100)
    made["serve"].add_argument("--workers", type=int, default=0, help="0: as the peer's documentation advises")
    made["check"].add_argument("--pictures", type=Path, required=True)
    add_data(made["compare"])
    add_runs(made["compare"], "--rounds", "3", "by turns")
    made["compare"].add_argument("--out", type=Path, default=Path(".run/peers"))
    return parser.parse_args(arguments)


def _file(text: str) -> Path:
    if not Path(text).is_file():
        raise argparse.ArgumentTypeError(f"expected a file, found none at {text!r}")
    return Path(text)


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
                passed, said = _checked(peer, variant, options, expected)
            except (NotInstalled, PeerError, OSError, subprocess.CalledProcessError) as exc:
                passed, said = False, str(exc)
            failed += not passed
            print(f"{peer.name:13} {variant:10} {'ok' if passed else 'FAILED'}: {said}", flush=True)
    return 1 if failed else 0


def _compare(peers: Sequence[Peer], options: argparse.Namespace) -> int:
    end_on_signals()
    campaign, reference = Campaign.read(), Reference(options.repository)
    typical = [item[IMAGE] for item in items(campaign.files[SPEC.name], options.data, PICTURES)]
    expected = {picture: reference(picture) for picture in typical}
    setting = Setting.here(options.repository, files_description(campaign, options.data, [SPEC.name]), [SPEC.name])
    print(f"{setting}; {options.rounds} rounds by turns, {len(expected)} pictures", flush=True)
    turns: list[Turn] = []
    failed: list[str] = []
    name = f"peers-{time.strftime('%Y%m%d-%H%M%S')}"
    try:
        for found in Comparison(options.repository, options.checkpoint, expected).turns(peers, options.rounds):
            if isinstance(found, str):
                failed.append(found)
                print(found, file=sys.stderr, flush=True)
                continue
            turns.append(found)
            _tell(found)
            file = write(Peers(setting=setting, turns=turns), options.out, name)
    except ServerEnded as exc:
        failed.append(str(exc))
    failed += missed(turns)
    print("\n".join(["", *([table(turns), "", str(file)] if turns else []), *failed]))
    return 1 if failed else 0


def _tell(turn: Turn) -> None:
    ours, other = turn.ours, turn.other
    print(
        f"{other.name:13} {other.variant:10} {other.hundred.per_second:6.1f}/s, ours {ours.hundred.per_second:6.1f}/s; "
        f"alone p50 {other.one.answered.p50:.1f} ms, ours {ours.one.answered.p50:.1f} ms",
        flush=True,
    )


def _checked(
    peer: Peer, variant: Variant, options: argparse.Namespace, expected: dict[Path, list[float]]
) -> tuple[bool, str]:
    """(right, what was found): the pictures one by one, then all at once, so that batches are made."""
    several = [file for file in expected for _ in range(AT_ONCE // len(expected) + 1)]
    with running(peer, variant, checkpoint=options.checkpoint, repository=options.repository) as service:
        asked = [*expected]
        answers = [service.ask(file.read_bytes()) for file in asked]
        with ThreadPoolExecutor(AT_ONCE) as pool:
            answers += pool.map(lambda file: service.ask(file.read_bytes()), several)
        processes = service.processes()
        public = sorted({f"{address} ({process.name()})" for process in processes for address in listening(process)})
    differences = [
        abs(one - other)
        for file, answer in zip([*asked, *several], answers, strict=True)
        for one, other in zip(answer, expected[file], strict=True)
    ]
    largest = float(np.max(differences))  # NaN, where one is
    said = f"largest Δp {largest:.1e} (at most {TOLERANCES[variant]:g}) in {len(answers)} answers"
    said += f"; {len(processes)} processes; {peer.version}"
    return largest <= TOLERANCES[variant] and not public, "; ".join([said, *public])


def _expected(pictures: Path, reference: Reference, count: int = 5) -> dict[Path, list[float]]:
    """The reference's answers to pictures spread over the folder, without those that it refuses."""
    files = sorted(file for file in pictures.rglob("*") if file.suffix.lower() in SUFFIXES)
    found: dict[Path, list[float]] = {}
    for file in files[:: max(1, len(files) // count)]:
        try:
            found[file] = reference(file.read_bytes())
        except ValueError as refused:  # a DICOM of another body part, a picture of one colour
            print(f"{file.name}: {refused}", file=sys.stderr)
    return dict(list(found.items())[:count])


if __name__ == "__main__":
    sys.exit(main())
