"""What a benchmark's figures are figures of: the machine, the code, the files, the weights, the server."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

import msgspec

from export.card import tool_versions
from report.card import FILENAME, Card, CardError
from server.machine import Machine

ROOT = Path(__file__).resolve().parent.parent
NOT_CODE = (":!benchmarks/results", ":!tests", ":!*.md")  # a change of these changes no figure
VERSIONS = ("nvidia-pytriton", "onnxruntime", "openvino")


class Setting(msgspec.Struct, frozen=True, kw_only=True):
    """In words.

    Args:
        machine: the load generator's, and the server's unless it is elsewhere.
        code: the last commit that changed any; "+": with changes since.
        files: real ones, or made.
        weights: models whose weights are untrained.
        server: "" for one of its own; else its URL.
        day: when.
    """

    machine: str
    code: str
    files: str
    weights: str
    server: str
    day: str

    @classmethod
    def here(cls, repository: Path, files: str, models: Iterable[str], url: str = "") -> Self:
        """Of this process.

        Args:
            repository: that is served.
            files: see `benchmarks.load.traffic.files_description`.
            models: that are asked.
            url: of a server that was not started here; "": none.
        """
        asked = list(dict.fromkeys(models))
        untrained = [] if url else [name for name in asked if not _trained(repository, name)]
        return cls(
            machine=_machine(),
            code=_code(),
            files=files,
            weights=f"untrained weights in {', '.join(untrained)}" if untrained else "",
            server=url,
            day=datetime.now(UTC).date().isoformat(),
        )

    def like(self, other: Setting) -> bool:
        """Whether figures of both may stand in one table."""
        return (self.machine, self.code, self.server) == (other.machine, other.code, other.server)

    def __str__(self) -> str:
        where = f"the server at {self.server}, the load generator on {self.machine}" if self.server else self.machine
        return "; ".join(part for part in (where, self.files, self.weights, f"commit {self.code}", self.day) if part)


def _machine() -> str:
    info = Path("/proc/cpuinfo").read_text("utf-8", "replace")
    names = {line.partition(":")[2].strip() for line in info.splitlines() if line.startswith("model name")}
    cpu, this = ", ".join(sorted(names)) or "an unnamed CPU", Machine.this()
    versions = ", ".join(f"{name} {found}" for name, found in tool_versions(VERSIONS).items())
    return f"{this.cores} cores of {cpu} ({' '.join(this.cpu)}), {this.memory_mb / 1024:.0f} GB; {versions}"


def _code() -> str:
    try:
        commit = _git("log", "-1", "--format=%h", "--", ".", *NOT_CODE)
        return commit + "+" * bool(_git("status", "--porcelain", "--untracked-files=no", "--", ".", *NOT_CODE))
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def _git(*arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()


def _trained(repository: Path, model: str) -> bool:
    cards = sorted((repository / f"{model}_net").glob(f"[0-9]*/{FILENAME}"))
    try:
        return bool(cards) and Card.read(cards[-1]).weights.trained
    except CardError:
        return False
