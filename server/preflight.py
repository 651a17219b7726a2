"""What can be known to fail before Triton starts, each as one sentence with a way out."""

from __future__ import annotations

import hashlib
import ipaddress
import os
import platform
import shutil
import socket
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

from report.card import FILENAME, Artefact, Card, CardError
from server.machine import SHM
from server.sizing import SHARED_MB_PER_WORKER

PYTHONS = ((3, 11), (3, 12))
GLIBC = (2, 35)
MIB = 1 << 20


class PreflightError(RuntimeError):
    """The server must not, or cannot, be started."""


def check_platform() -> None:
    """Raises PreflightError: a Python or a C library that Triton's workers do not run on."""
    if sys.version_info[:2] not in PYTHONS:
        wanted = " or ".join(f"{major}.{minor}" for major, minor in PYTHONS)
        raise PreflightError(
            f"Python: expected {wanted} (Triton's workers need numpy < 2), got {platform.python_version()}. "
            "Run `make clean` and `make serve PYTHON=python3.12`."
        )
    library, version = platform.libc_ver()
    if library != "glibc" or tuple(map(int, version.split(".")[:2])) < GLIBC:
        raise PreflightError(
            f"C library: expected glibc {GLIBC[0]}.{GLIBC[1]} or newer (Debian 12, Ubuntu 22.04), "
            f"got {library or 'another'} {version}. Use the container."
        )


def resolved_host(host: str, *, allow_remote: bool) -> str:
    """The IPv4 address to bind for a name or address.

    Args:
        host: name or address.
        allow_remote: whether others may reach it: the user insists, or the installed Triton is one for networks.

    Raises:
        PreflightError: none of this machine's, or one that others can reach, unless the user insists.
    """
    try:
        found = [info[4][0] for info in socket.getaddrinfo(host, None, socket.AF_INET)]
    except OSError as exc:
        raise PreflightError(
            f"HOST: expected an IPv4 address of this machine (Triton 2.51 binds no other), got {host!r}"
        ) from exc
    if not allow_remote and not all(ipaddress.ip_address(address).is_loopback for address in found):
        raise PreflightError(
            f"HOST: expected a loopback address, got {host}. The wheel's Triton is 2.51 (24.10) and lacks the "
            "security fixes of later releases (up to 26.07): on a network use the container. "
            "ALLOW_REMOTE=1 overrides this."
        )
    return str(found[0])


def port_number(variable: str, text: str) -> int:
    """The number of a port, 1..65535.

    Raises:
        PreflightError: the text is no such number.
    """
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= 65535:
        raise PreflightError(f"{variable}: expected a port from 1 to 65535, got {text!r}")
    return int(text)


def seconds(variable: str, text: str) -> float:
    """A time in seconds, 0..600.

    Raises:
        PreflightError: the text is no such number.
    """
    try:
        found = float(text)
    except ValueError:
        found = -1.0
    if not 0 <= found <= 600:  # nor NaN
        raise PreflightError(f"{variable}: expected seconds from 0 to 600, got {text!r}")
    return found


def check_ports(host: str, ports: Mapping[str, int]) -> None:
    """Raises PreflightError: two equal ports, or one that somebody else listens on.

    Args:
        host: the address to bind.
        ports: by the name of the variable that sets each.
    """
    seen: dict[int, str] = {}
    for variable, port in ports.items():
        if port in seen:
            raise PreflightError(f"{variable}: expected a port of its own, got {port}, which {seen[port]} has too")
        seen[port] = variable
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, port))
            except OSError as exc:
                raise PreflightError(
                    f"{variable}: expected a free port, but {host}:{port} cannot be bound ({exc.strerror}). "
                    f"Stop what listens there, or run with another {variable}=."
                ) from exc


def check_runs_programs(runtime: Path) -> None:
    """Raises PreflightError: a runtime folder that cannot be written, or whose file system runs no programs."""
    try:
        runtime.mkdir(parents=True, exist_ok=True)
        flags = os.statvfs(runtime).f_flag
    except OSError as exc:
        raise PreflightError(
            f"{runtime}: expected a folder for this run's files that can be made, got: {exc.strerror}. "
            "Give another with --runtime."
        ) from exc
    if flags & (os.ST_NOEXEC | os.ST_RDONLY) or not os.access(runtime, os.W_OK):
        raise PreflightError(
            f"{runtime}: expected a writable file system that may run programs (Triton's workers lie there), got one "
            "that is read-only or mounted noexec. In a container mount a volume or a tmpfs with exec there."
        )


def check_shared_memory(workers: int) -> None:
    """Raises PreflightError: /dev/shm too small for Triton to talk to its workers through it."""
    needed = workers * SHARED_MB_PER_WORKER * MIB
    free = shutil.disk_usage(SHM).free if SHM.is_dir() else 0
    if free < needed:
        raise PreflightError(
            f"{SHM}: expected {needed // MIB} MiB free for {workers} workers, got {free // MIB} MiB. "
            "In a container raise it with --shm-size; elsewhere remove what fills it."
        )


def check_artefacts(artefacts: Iterable[tuple[str, Path]]) -> list[Card]:
    """The cards of the artefacts, each compared with its file to the last byte.

    Raises:
        PreflightError: an artefact that is missing, half-written, or not the one in its card.
    """
    cards = []
    for model, file in artefacts:
        made = "engines" if file.suffix == ".plan" else "export"
        again = f"Run `make {made} MODELS={model.removesuffix('_net')}`."
        try:
            card = Card.read(file.parent / FILENAME)
        except CardError as exc:
            raise PreflightError(f"{model}: {exc} {again}") from exc
        listed = card.artefacts.get(file.name) or card.plans.get(file.name)
        if listed is None or not file.is_file():
            raise PreflightError(f"{model}: expected {file} and its entry in {FILENAME}, one is missing. {again}")
        size = file.stat().st_size
        if size != listed.size_bytes:
            raise PreflightError(
                f"{model}: {file.name}: expected {listed.size_bytes:,} bytes, got {size:,}: half-written. {again}"
            )
        beside = listed.external if isinstance(listed, Artefact) else {}
        for name, expected in ({file.name: listed.sha256} | beside).items():
            digest = _sha256(file.with_name(name))
            if digest != expected:
                raise PreflightError(
                    f"{model}: {name}: expected sha256 {expected[:16]}… of its card, got {digest[:16]}…: "
                    f"not the artefact that was verified. {again}"
                )
        cards.append(card)
    return cards


def _sha256(file: Path) -> str:
    """Hex; "nothing" where there is no such file."""
    if not file.is_file():
        return "nothing"
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()
