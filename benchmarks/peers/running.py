"""One started peer: a tree of processes that answers, and that is gone when the block ends."""

from __future__ import annotations

import contextlib
import http.client
import ipaddress
import os
import secrets
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import psutil
from google.protobuf import json_format

from benchmarks.peers.environments import NotInstalled, bin_of, is_installed
from benchmarks.peers.peer import ROOT, Command, Peer
from benchmarks.peers.task import HOST, SPEC, VARIABLE, Task, Variant
from benchmarks.ports import free_ports
from export.artefact import folder_of
from report.answer import CPU_PROFILE
from report.card import FILENAME, Card
from server.repository import Repository

READY_TIMEOUT_S = 300
END_TIMEOUT_S = 20
ANSWER_TIMEOUT_S = 120
_FIRST = ROOT / "examples" / "phantom.png"
_MARK = "MEDSERVE_PEER_RUN"  # in the environment of every process of one start


class PeerError(RuntimeError):
    """A peer that ended, did not answer, or answered with an error."""


@dataclass(frozen=True, slots=True)
class Running:
    """A peer that has answered once.

    Args:
        peer: which.
        task: what it was started for.
        pid: of the process that was started: the root of the tree.
        log: what all of them print.
        mark: of `processes`.
    """

    peer: Peer
    task: Task
    pid: int
    log: Path
    mark: str

    @property
    def port(self) -> int:
        return self.task.port

    def processes(self) -> list[psutil.Process]:
        """All of them, also those whose parent has gone. Reads every process of the machine: not for a tight loop."""
        return _all(self.pid, self.mark)

    def ask(self, file: bytes) -> list[float]:
        """The probabilities of one picture.

        Raises:
            PeerError: any other answer than 200.
        """
        return _ask(self.peer, self.port, file)


@contextlib.contextmanager
def running(
    peer: Peer,
    variant: Variant,
    *,
    checkpoint: Path,
    repository: Path,
    port: int = 0,
    workers: int = 0,
    verbose: bool = False,
) -> Iterator[Running]:
    """Start a peer, wait for its first answer, and end all its processes.

    Args:
        peer: see `registry.PEERS`.
        variant: see `Task`.
        checkpoint: the model's weights.
        repository: with the exported model.
        port: 0: a free one.
        workers: 0: as many as the peer's documentation advises.
        verbose: print its log instead of keeping it.

    Raises:
        NotInstalled: its environment is not there.
        PeerError: it did not answer.
    """
    if not is_installed(peer):
        raise NotInstalled(
            f"{peer.name}: expected its environment. Run `python -m benchmarks.peers install {peer.name}`."
        )
    # Below /tmp and short: Ray's sockets have at most 107 characters.
    with tempfile.TemporaryDirectory(prefix="peer-", dir="/tmp", ignore_cleanup_errors=True) as made:
        folder = Path(made)
        task = _task(peer, variant, checkpoint, repository, port or free_ports(1)[0], workers)
        task.write(folder / "task.json")
        command = peer.start(task, folder)
        mark = secrets.token_hex(8)
        log = folder / "log.txt"
        with log.open("w") as output:
            process = subprocess.Popen(
                _resolved(peer, command.arguments),
                cwd=folder,
                env=_environment(peer, command) | {VARIABLE: str(folder / "task.json"), _MARK: mark},
                stdin=subprocess.DEVNULL,
                stdout=None if verbose else output,
                stderr=None if verbose else subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            _wait(process, peer, task.port, log)
            yield Running(peer, task, process.pid, log, mark)
        finally:
            _end(process, mark)


def _task(peer: Peer, variant: Variant, checkpoint: Path, repository: Path, port: int, workers: int) -> Task:
    folder = folder_of(SPEC, repository).resolve()
    config = Repository.read(repository, CPU_PROFILE).configs[folder.parent.name]
    return Task(
        variant=variant,
        checkpoint=str(checkpoint.resolve()),
        temperature=Card.read(folder / FILENAME).calibration.temperature,
        config=json_format.MessageToDict(config, preserving_proto_field_name=True),
        artefacts=str(folder),
        port=port,
        workers=workers or peer.workers[variant],
    )


def _resolved(peer: Peer, arguments: tuple[str, ...]) -> list[str]:
    """The program as the environment's: a child is looked up in its parent's PATH."""
    first, *others = arguments
    return [str(bin_of(peer.place) / first) if peer.own_environment else first, *others]


def _environment(peer: Peer, command: Command) -> dict[str, str]:
    own = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    own |= {"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1", "PYTHONUNBUFFERED": "1", "DO_NOT_TRACK": "1"}
    if peer.own_environment:
        own["PATH"] = os.pathsep.join((str(bin_of(peer.place)), own.get("PATH", "")))
    return own | dict(command.variables)


def _wait(process: subprocess.Popen[bytes], peer: Peer, port: int, log: Path) -> None:
    """Return after the first right answer."""
    deadline = time.monotonic() + READY_TIMEOUT_S
    last = "nothing listened"
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise PeerError(f"{peer.name}: ended with status {process.returncode} while starting\n{_tail(log)}")
        try:
            _ask(peer, port, _FIRST.read_bytes())
            return
        except (OSError, http.client.HTTPException, PeerError) as exc:
            last = str(exc)
        time.sleep(0.5)
    raise PeerError(f"{peer.name}: no answer within {READY_TIMEOUT_S} s ({last})\n{_tail(log)}")


def _ask(peer: Peer, port: int, file: bytes) -> list[float]:
    connection = http.client.HTTPConnection(HOST, port, timeout=ANSWER_TIMEOUT_S)
    try:
        connection.request(peer.method, peer.path, peer.body(file), dict(peer.headers))
        response = connection.getresponse()
        answer = response.read()
    finally:
        connection.close()
    if response.status != 200:
        raise PeerError(f"{peer.name}: HTTP {response.status}: {answer[:300].decode(errors='replace')}")
    return peer.parse(answer)


def _end(process: subprocess.Popen[bytes], mark: str) -> None:
    """SIGTERM to the root, which ends its own; SIGKILL to what is left of them."""
    known = _all(process.pid, mark)
    if process.poll() is None:
        process.terminate()
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(END_TIMEOUT_S)
    while left := [one for one in {*known, *_all(process.pid, mark)} if one.is_running() and one.pid != process.pid]:
        for one in left:
            with contextlib.suppress(psutil.NoSuchProcess):
                one.kill()
        known = psutil.wait_procs(left, timeout=5)[1]
    process.kill()
    process.wait()


def _all(root: int, mark: str) -> list[psutil.Process]:
    """The root's tree, and what bears the mark: some processes leave the tree, others write over their environment."""
    found = {one for one in psutil.process_iter() if _variables(one).get(_MARK) == mark}
    with contextlib.suppress(psutil.NoSuchProcess):
        own = psutil.Process(root)
        found |= {own, *own.children(recursive=True)}
    return sorted(found, key=lambda one: one.pid)


def listening(process: psutil.Process) -> list[str]:
    """Addresses beyond the loopback that it listens on."""
    with contextlib.suppress(psutil.NoSuchProcess):
        found = [one.laddr.ip for one in process.net_connections("inet") if one.status == psutil.CONN_LISTEN]
        return [ip for ip in found if not ipaddress.ip_address(ip.removeprefix("::ffff:")).is_loopback]
    return []


def _variables(process: psutil.Process) -> Mapping[str, str]:
    try:
        return process.environ()
    except (psutil.Error, OSError):
        return {}


def _tail(log: Path) -> str:
    return "\n".join(log.read_text("utf-8", "replace").splitlines()[-40:])
