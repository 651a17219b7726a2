"""How far an export is, by a clock of the test's."""

from __future__ import annotations

from export.commands.progress import Progress, duration


def test_progress_reports_the_time_left_by_the_mean_of_what_is_done() -> None:
    times = iter([100.0, 130.0, 140.0, 190.0])
    progress = Progress(3, 2, clock=lambda: next(times))
    assert progress.beginning() == "3 to export, 2 at a time"
    assert progress.one_done() == "1 of 3 done in 30 s, about 1 min 0 s left"
    assert progress.one_done() == "2 of 3 done in 40 s, about 20 s left"
    assert progress.one_done() == "3 of 3 done in 1 min 30 s"


def test_durations_are_in_minutes_and_seconds() -> None:
    assert [duration(seconds) for seconds in (0.4, 59.6, 200)] == ["0 s", "1 min 0 s", "3 min 20 s"]
