"""A virtual environment for each peer, below `.peers` in the repository's root.

Each holds its peer's own needs alone. What computes (torch, torchvision, numpy, onnxruntime, openvino, Pillow, pydicom)
is the project's own installation, the same for all: a `.pth` file appends its site-packages behind the peer's, so that
where both have a package, the peer finds the version that it asked for.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
import sysconfig
from pathlib import Path

from benchmarks.peers.peer import ROOT, Peer

FOLDER = ROOT / ".peers"


class NotInstalled(RuntimeError):
    """A peer's environment is missing."""


def bin_of(peer: str) -> Path:
    """The folder of its programs."""
    return FOLDER / peer / "bin"


def program(peer: str, name: str) -> str:
    """A program of its environment."""
    return str(bin_of(peer) / name)


def is_installed(peer: Peer) -> bool:
    """Whether its environment is what its pins and the project's environment say now."""
    stamp = _stamp(peer)
    return not peer.own_environment or (stamp.is_file() and stamp.read_text("utf-8") == _key(peer))


def install(peer: Peer) -> None:
    """Make it, if it is not there as its pins say.

    Raises:
        CalledProcessError: pip's complaint is on the terminal.
    """
    if is_installed(peer):
        return
    FOLDER.mkdir(exist_ok=True)
    (FOLDER / ".gitignore").write_text("*\n", "utf-8")
    folder = FOLDER / peer.place
    subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
    pip = [program(peer.place, "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    # A full freeze: nothing is left to resolve.
    subprocess.run([*pip, "--no-deps", "--requirement", str(peer.requirements)], check=True)
    own = Path(sysconfig.get_path("purelib", vars={"base": str(folder), "platbase": str(folder)}))
    (own / "medserve_peers.pth").write_text(f"{_shared()}\n", "utf-8")
    _stamp(peer).write_text(_key(peer), "utf-8")


def _shared() -> str:
    return sysconfig.get_path("purelib")


def _stamp(peer: Peer) -> Path:
    return FOLDER / peer.place / ".installed"


def _key(peer: Peer) -> str:
    return hashlib.sha256(peer.requirements.read_bytes() + _shared().encode()).hexdigest()
