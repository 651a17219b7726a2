"""What watching for drift costs a prediction."""

from __future__ import annotations

import time

from gateway.drift import Monitor
from tests.support.drift_statistics import reference
from tests.unit.gateway.test_drift_monitor import RANDOM, observation


def test_an_observation_is_cheap():
    """Nine figures, looks included. 35 µs on a quiet core; a busy machine is given four times the promise."""
    names = [f"figure {number}" for number in range(9)]
    items = [dict(zip(names, RANDOM.random(9), strict=True)) for _ in range(2000)]
    monitor = Monitor()
    monitor.refer("m", reference(items[:300]))
    observations = [observation(numbers, "normal") for numbers in items]
    started = time.process_time()
    for observed in observations:
        monitor.observe(observed)
    assert (time.process_time() - started) / len(items) < 200e-6
