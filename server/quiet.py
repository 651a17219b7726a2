"""When a server that nobody should call any more has answered everybody.

Triton 2.51 refuses, once it is told to end, the next step of calls under way (measured): it may be told only when there
are none. It does not say how many there are: steps under way do, in its metrics, and calls that end are counted.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

from prometheus_client.parser import text_string_to_metric_families

POLL_S = 0.2
QUIET_S = 1.5  # workers tell what they do once a second; between two steps a call is nowhere for some milliseconds
# Gauges: 0 where nothing is under way. Counters: of what has ended, with the ending that the parser gives them.
_UNDER_WAY = ("nv_inference_pending_request_count", "medserve_worker_waiting", "medserve_worker_busy")
_ENDED = ("nv_inference_request_success_total", "nv_inference_request_failure_total")
Counts = Mapping[tuple[str, ...], float]


def wait_until_quiet(
    metrics: Callable[[], str],
    *,
    earliest: float,
    latest: float,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> bool:
    """Return when nothing has been under way for QUIET_S.

    Args:
        metrics: Triton's, in Prometheus's text; "" where it no longer answers, and nothing can be waited for.
        earliest, latest: when to return, by `clock`: not before, and whatever is under way.
        clock: never goes back, in seconds.
        sleep: waits so many seconds of that clock.

    Returns:
        Whether nothing is under way.
    """
    since, ended = clock(), None
    while True:
        text = metrics()
        if not text:
            return True
        under_way, now_ended = _counted(text)
        now = clock()
        if under_way or now_ended != ended:
            since, ended = now, now_ended
        if now - since >= QUIET_S and now >= earliest:
            return True
        if now >= latest:
            return False
        sleep(POLL_S)


def _counted(text: str) -> tuple[float, Counts]:
    """(requests under way, what has ended so far)."""
    under_way, ended = 0.0, {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            if sample.name in _UNDER_WAY:
                under_way += sample.value
            elif sample.name in _ENDED:
                ended[sample.name, *sorted(sample.labels.values())] = sample.value
    return under_way, ended
