"""Runs that nobody made, for verdicts and tables."""

from __future__ import annotations

from benchmarks.load.recorder import Recorder
from benchmarks.load.run import Run, of
from benchmarks.setting import Setting

NOBODY = Setting(machine="3 cores of Nobody", code="abc", files="made files", weights="", server="", day="2026-01-01")


def run(
    answers: int = 100,
    *,
    model: str = "m",
    latency_s: float = 0.1,
    later_s: float = 0.0,
    seconds: int = 20,
    checked: int | None = None,
    failed: str = "",
    refused: int = 0,
    refused_s: float = 1.0,
    until: float = 0.0,
    offered: int | None = None,
) -> Run:
    """Answers evenly over its seconds.

    Args:
        answers: how many.
        model: that was asked.
        latency_s: of each, in its first half; `later_s`, if it is not 0, in its second.
        later_s: see latency_s.
        seconds: measured.
        checked: compared answers; None: all.
        failed: a sentence, once.
        refused: calls that were shed, after `refused_s`.
        refused_s: see refused.
        until, offered: see Run; None: as many as were answered.
    """
    recorder = Recorder(warm_s=1)
    for number in range(answers):
        at = number / answers * seconds
        recorder.answer(model, 1 + at, later_s if later_s and at >= seconds / 2 else latency_s)
    for number in range(refused):
        recorder.refusal(1 + number / refused * seconds, refused_s)
    if failed:
        recorder.failure(failed)
    counts = {
        "offered": answers if offered is None else offered,
        "checked": answers if checked is None else checked,
        "client_cpu_s": 1.0,
    }
    return of(recorder, "s", [model], seconds, until=until, **counts)
