"""Several models exported at the same time, each in a process that imports the tools once."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from export.commands.lines import export_line
from export.models import select
from export.publish import Order
from server.machine import usable_cores
from server.publisher import end_with_parent

KILLED = "its process was ended: is there enough memory?"


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One model to export.

    Args:
        model: its name.
        order: see Order.
        reason: why it is exported.
    """

    model: str
    order: Order
    reason: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a job: lines for people, or a sentence about its failure."""

    model: str
    lines: str = ""
    failure: str = ""


def exported(job: Job, folder: Path) -> Outcome:
    """Export one model in this process."""
    (spec,) = select([job.model])
    try:
        return Outcome(job.model, lines=export_line(spec, folder, job.order))
    except (ValueError, OSError, RuntimeError) as exc:  # RuntimeError: torch's own
        return Outcome(job.model, failure=str(exc))


def all_exported(jobs: list[Job], folder: Path, processes: int) -> Iterator[Outcome]:
    """Export them all, each outcome as it comes.

    Args:
        jobs: in the order in which they are begun.
        folder: the model repository.
        processes: how many work at the same time; with one there is no process but this one.
    """
    if processes == 1:
        yield from (exported(job, folder) for job in jobs)
        return
    # Before torch is imported: two processes whose threads wait for each other's cores take twice as long (measured).
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, usable_cores() // processes)))
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, context, initializer=end_with_parent) as pool:
        waiting = {pool.submit(_exported_here, job, folder): job for job in jobs}
        try:
            for future in as_completed(waiting):
                yield _outcome(future, waiting[future])
        except BaseException:  # interrupted: what is begun ends now, what waits is not begun
            for future in waiting:
                future.cancel()
            for process in multiprocessing.active_children():
                process.terminate()
            raise


def _outcome(future: Future[Outcome], job: Job) -> Outcome:
    try:
        return future.result()
    except BrokenProcessPool:
        return Outcome(job.model, failure=f"{job.model}: {KILLED}")


def _exported_here(job: Job, folder: Path) -> Outcome:
    """In a process of the pool: SIGTERM ends it once unfinished files are removed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the terminal's: the process that waits for this one ends it
    signal.signal(signal.SIGTERM, interrupt)
    try:
        return exported(job, folder)
    except KeyboardInterrupt:
        os._exit(128 + signal.SIGTERM)
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def interrupt(_number: int, _frame: FrameType | None) -> None:
    """Handle a signal like Ctrl-C: files that are not finished are removed."""
    raise KeyboardInterrupt
