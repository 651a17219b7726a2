"""What a server that was killed leaves behind: workers, shared-memory files, its runtime folder.

Everything that a run creates bears the launcher's process id and start time, so that a later run
can tell what belongs to nobody any more.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
from pathlib import Path

import psutil

from report.card import FILENAME, Card, CardError
from server.machine import SHM

PREFIX = "medserve"
CLOCK_SLACK_S = 2
_TAG = re.compile(rf"{PREFIX}-(\d+)-(\d+)")


def own_tag() -> str:
    """The name under which this process makes its files."""
    return f"{PREFIX}-{os.getpid()}-{int(psutil.Process().create_time())}"


def clean_up(runtime: Path, tag: str | None = None) -> int:
    """Remove what belongs to `tag`, or without one to any launcher that is gone; returns how many things.

    Args:
        runtime: the folder that holds a folder for each run.
        tag: of a run that has ended.
    """
    removed = 0
    for worker in _workers():
        if _dead(worker.info["cmdline_text"], tag):
            with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied):
                worker.kill()
                removed += 1
    for path in (*SHM.glob(f"*{PREFIX}-*"), *runtime.glob(f"{PREFIX}-*")):
        if _dead(path.name, tag):
            with contextlib.suppress(PermissionError):  # another user's: theirs to remove
                shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(missing_ok=True)
                removed += 1
    return removed


def prune_cache(cache: Path, repository: Path) -> None:
    """Remove compiled models of artefacts that the repository no longer holds.

    Args:
        cache: a folder for each artefact, named by its sha256.
        repository: whose cards list the artefacts; a card that cannot be read lists none.
    """
    listed: set[str] = set()
    for file in repository.glob(f"*/[0-9]*/{FILENAME}"):
        with contextlib.suppress(CardError):
            listed |= {artefact.sha256 for artefact in Card.read(file).artefacts.values()}
    for folder in cache.glob("*"):
        if folder.name not in listed:
            shutil.rmtree(folder, ignore_errors=True)


def _workers() -> list[psutil.Process]:
    """Triton's servers and workers of any run of ours; each carries the run's tag in its arguments."""
    found = []
    for process in psutil.process_iter(["cmdline"]):
        text = " ".join(process.info["cmdline"] or ())
        if "triton" in text and _TAG.search(text):
            process.info["cmdline_text"] = text
            found.append(process)
    return found


def _dead(text: str, tag: str | None) -> bool:
    """Whether the tag in `text` is the given one, or of a launcher that is gone."""
    match = _TAG.search(text)
    if match is None:
        return False
    if tag is not None:
        return match.group() == tag
    try:
        launcher = psutil.Process(int(match[1]))
        # The start time is reckoned from the clock, which may be set by a little; a pid is reused much later.
        moved = abs(int(launcher.create_time()) - int(match[2])) > CLOCK_SLACK_S
        return launcher.status() == psutil.STATUS_ZOMBIE or moved
    except psutil.NoSuchProcess:
        return True
