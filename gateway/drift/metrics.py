"""Drift and performance as Prometheus reads them."""

from __future__ import annotations

from collections.abc import Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge

from gateway.drift.distance import Distance


class Metrics:
    """Of all models.

    Args:
        registry: that they are put into, once.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        figure, label = ("model", "figure"), ("model", "label")
        self._psi = Gauge(
            "medserve_drift_psi", "Population stability index of the window, over deciles", figure, registry=registry
        )
        self._ks = Gauge("medserve_drift_ks", "Kolmogorov-Smirnov statistic of the window", figure, registry=registry)
        self._score = Gauge("medserve_drift_score", "Distance of the window; 1: drift", figure, registry=registry)
        self._alert = Gauge("medserve_drift_alert", "1: the drift alert is raised", ("model",), registry=registry)
        self._window = Gauge("medserve_drift_window", "Observations in the window", ("model",), registry=registry)
        self._reference = Gauge(
            "medserve_drift_reference", "1: there is a reference to compare with", ("model",), registry=registry
        )
        self._feedback = Counter(
            "medserve_feedback", "Answers that a radiologist has labelled", ("model",), registry=registry
        )
        self._sensitivity = Gauge(
            "medserve_sensitivity",
            "Share of the labelled cases with this label that were found",
            label,
            registry=registry,
        )
        self._specificity = Gauge(
            "medserve_specificity",
            "Share of the labelled cases without this label not called so",
            label,
            registry=registry,
        )

    def referred(self, model: str, *, known: bool) -> None:
        """A model begins anew: what was said of it before is forgotten, its feedback excepted."""
        for gauge in (self._psi, self._ks, self._score):
            gauge.remove_by_labels({"model": model})
        self._reference.labels(model).set(known)
        self._alert.labels(model).set(0)
        self._window.labels(model).set(0)

    def looked(self, model: str, distances: Mapping[str, Distance], *, size: int, alert: bool) -> None:
        """After each look at a window."""
        self._window.labels(model).set(size)
        self._alert.labels(model).set(alert)
        for name, distance in distances.items():
            self._psi.labels(model, name).set(distance.psi)
            self._score.labels(model, name).set(distance.score)
            if distance.ks is not None:
                self._ks.labels(model, name).set(distance.ks)

    def told(
        self,
        model: str,
        sensitivity: Mapping[str, tuple[int, int]],
        specificity: Mapping[str, tuple[int, int]],
        *,
        fresh: bool,
    ) -> None:
        """After each radiologist's label; a correction is no fresh one. A label without cases has no number."""
        self._feedback.labels(model).inc(fresh)
        for gauge, shares in ((self._sensitivity, sensitivity), (self._specificity, specificity)):
            gauge.remove_by_labels({"model": model})
            for label, (right, of) in shares.items():
                if of:
                    gauge.labels(model, label).set(right / of)
