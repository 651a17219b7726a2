"""What Prometheus is told of the gateway's own work."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Histogram

# Seconds; the promise of 0.5 is a bound.
_BUCKETS = (0.01, 0.025, 0.05, 0.1, 0.2, 0.35, 0.5, 0.75, 1.0, 2.0, 5.0, 10.0, 30.0)


class Metrics:
    """Counters of one gateway process.

    Args:
        registry: that GET /metrics tells.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self._predictions = Counter(
            "medserve_gateway_predictions",
            "Predictions by model, route of its version, and outcome: answer, shadow, or a reason code.",
            ["model", "route", "outcome"],
            registry=registry,
        )
        self._seconds = Histogram(
            "medserve_gateway_seconds",
            "From the inputs to the recorded answer.",
            ["model"],
            buckets=_BUCKETS,
            registry=registry,
        )

    def predicted(self, model: str, route: str, outcome: str, seconds: float) -> None:
        """One prediction, answered or not."""
        self._predictions.labels(model, route, outcome).inc()
        self._seconds.labels(model).observe(seconds)
