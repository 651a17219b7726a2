"""One run of one promise, as the load generator measured it: what `locustfile.py` writes and the campaign reads."""

from __future__ import annotations

from pathlib import Path
from typing import Self

import msgspec

from benchmarks.load.recorder import Latency, Recorder, total
from benchmarks.load.slo import SloError

PAUSE_S, PAUSES = 2, 3  # seconds without any answer, and times the median latency: more is a server that stood still


class Second(msgspec.Struct, frozen=True):
    """One second of it."""

    at: int
    answered: Latency
    refused: int


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """A run.

    Args:
        slo: name of the promise.
        seconds: measured.
        offered: calls that were begun in them.
        answered: right answers, those that came after the last second too.
        late: how many did.
        halves: the answers of its first half, and of its second.
        refused: those that the server's queues shed.
        failed: sentence → calls that ended otherwise: errors, wrong answers, none at all.
        models: latency by model.
        buckets: (milliseconds at most, answers) of a histogram.
        timeline: second by second.
        checked: answers that were compared with a quiet server's, the warm-up's too.
        client_cpu_s: of the load generator's processes, while it was measured.
        until: when the callers stopped, in seconds since 1970.
    """

    slo: str
    seconds: float
    offered: int
    answered: Latency
    late: int
    halves: tuple[Latency, Latency]
    refused: Latency
    failed: dict[str, int]
    models: dict[str, Latency]
    buckets: list[tuple[float, int]]
    timeline: list[Second]
    checked: int
    client_cpu_s: float
    until: float = 0.0

    @classmethod
    def read(cls, file: Path, slo: str) -> Self:
        """What the load generator wrote.

        Raises:
            SloError: not its figures, or another promise's.
        """
        try:
            found = msgspec.json.decode(file.read_bytes(), type=cls)
        except (OSError, msgspec.DecodeError) as exc:
            raise SloError(f"{file}: expected the load generator's figures: {exc}") from exc
        if found.slo != slo:
            raise SloError(f"{file}: expected figures of {slo}, got {found.slo}'s")
        return found

    @property
    def per_second(self) -> float:
        """Right answers in each measured second."""
        return (self.answered.count - self.late) / self.seconds

    @property
    def pause_s(self) -> int:
        """The longest row of seconds without an answer."""
        rows = "".join("x" if second.answered.count else " " for second in self.timeline).split("x")
        return max(map(len, rows), default=0)

    def complaints(self) -> list[str]:
        """Why it proves nothing, whatever its figures; none: it does."""
        found = [f"{count} × {sentence}" for sentence, count in self.failed.items()]
        if not self.answered.count:
            found.append("no call was answered")
        elif silent := [model for model, latency in self.models.items() if not latency.count]:
            found.append(f"no answer from {', '.join(silent)}")
        elif self.pause_s > max(PAUSE_S, PAUSES * self.answered.p50 / 1e3):
            found.append(f"nothing was answered for {self.pause_s} s")
        if self.checked < self.answered.count:
            found.append(f"{self.answered.count - self.checked} answers were not compared")
        return found


def of(recorder: Recorder, slo: str, models: list[str], seconds: float, **counts: float) -> Run:
    """Add up what was recorded.

    Args:
        recorder: of all processes.
        slo: name of the promise.
        models: that were to be asked.
        seconds: measured.
        counts: `offered`, `checked`, `client_cpu_s` and `until`.
    """
    every = range(int(seconds))
    answered = total(recorder.answered)
    return Run(
        slo=slo,
        seconds=seconds,
        offered=int(counts["offered"]),
        answered=Latency.of(answered),
        late=sum(found.total_count for at, found in recorder.answered.items() if at not in every),
        halves=(
            Latency.of(total({at: found for at, found in recorder.answered.items() if at < len(every) // 2})),
            Latency.of(total({at: found for at, found in recorder.answered.items() if at >= len(every) // 2})),
        ),
        refused=Latency.of(total(recorder.refused)),
        failed=dict(recorder.failed),
        models={model: Latency.of(recorder.models[model]) for model in models},
        buckets=[
            (bucket.value_iterated_to / 1e3, bucket.count_added_in_this_iter_step)
            for bucket in answered.get_log_iterator(1000, 1.25)
            if bucket.count_added_in_this_iter_step
        ],
        timeline=[Second(at, Latency.of(recorder.answered[at]), recorder.refused[at].total_count) for at in every],
        checked=int(counts["checked"]),
        client_cpu_s=counts["client_cpu_s"],
        until=counts.get("until", 0.0),
    )
