"""All models' drift and performance, in one event loop."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec
from prometheus_client import CollectorRegistry

import gateway.drift.state as state
from gateway.drift.metrics import Metrics
from gateway.drift.performance import Case, Feedback
from gateway.drift.reference import Reference
from gateway.drift.summary import summary
from gateway.drift.watched import Watched
from gateway.drift.window import Observation

CASES = 500  # of radiologists' labels: sensitivity is then known to about ±5 % where half of them have the label
_log = logging.getLogger(__name__)


class Monitor:
    """Told of every answer and of every radiologist's label. Not for several threads.

    Args:
        window: a model's last answers that are compared with its reference.
        registry: that the metrics are put into; None: one that nobody reads.
    """

    def __init__(self, window: int = 200, registry: CollectorRegistry | None = None) -> None:
        if window < 1:
            raise ValueError(f"drift: window: expected at least 1 observation, got {window}")
        self._length = window
        self._metrics = Metrics(CollectorRegistry() if registry is None else registry)
        self._watched: dict[str, Watched] = {}
        self._written: dict[str, Mapping[str, Any] | None] = {}
        self._feedback: dict[str, Feedback] = {}
        self._earlier: dict[str, list[Case]] = {}

    def refer(
        self,
        model: str,
        reference: Mapping[str, Any] | None,
        labels: Sequence[str] = (),
        artefacts: Collection[str] = (),
    ) -> None:
        """What a model describes itself with. Another reference than before empties its window.

        One that cannot be read is as good as none: it is logged, and `state` says why.

        Args:
            model: its name.
            reference: its distribution, as exported.
            labels: all; empty where they are not known, or it has none.
            artefacts: SHA-256 of the files that it may run; empty where they are not known.
        """
        self._compare_with(model, reference)
        if not labels or not (model in self._earlier or model in self._feedback):
            return
        feedback = self._feedback.setdefault(model, Feedback(CASES))
        if feedback.keep(labels, artefacts, self._earlier.pop(model, ())):
            self._metrics.told(model, feedback.sensitivity(), feedback.specificity(), fresh=False)

    def remember(self, cases: Iterable[tuple[str, Case]]) -> None:
        """Radiologists' labels of another process's time, oldest first, each with its model.

        They count when their model is referred to.
        """
        for model, case in cases:
            self._earlier.setdefault(model, []).append(case)

    def _compare_with(self, model: str, reference: Mapping[str, Any] | None) -> None:
        if model in self._watched and self._written.get(model) == reference:
            return
        read, refused = _read(model, reference)
        self._written[model] = reference
        self._watched[model] = Watched(self._length, read, refused)
        self._metrics.referred(model, known=read is not None)

    def observe(self, observation: Observation) -> None:
        """One answer. Every few of them the window is compared."""
        if observation.model not in self._watched:
            self.refer(observation.model, None)
        watched = self._watched[observation.model]
        if watched.observe(observation):
            self._metrics.looked(observation.model, watched.named(), size=len(watched.window), alert=watched.alert)

    def told(self, model: str, case: Case, labels: Sequence[str]) -> None:
        """A radiologist's label of an answer; a later one of the same answer takes its place.

        Args:
            model: that answered.
            case: the answer and the label.
            labels: of the model, all.

        Raises:
            ValueError: one of them is none of the model's labels.
        """
        feedback = self._feedback.get(model) or Feedback(CASES)
        fresh = feedback.add(case, labels)
        self._feedback[model] = feedback
        if model not in self._watched:
            self.refer(model, None)
        self._metrics.told(model, feedback.sensitivity(), feedback.specificity(), fresh=fresh)

    def alert(self, model: str) -> bool:
        """Whether a model's alert is raised; without the work of `state`."""
        return model in self._watched and self._watched[model].alert

    def state(self, may: Callable[[str], bool] = lambda _: True) -> dict[str, Any]:
        """What GET /drift answers, JSON-safe. Its shape: `gateway.drift.state.State`.

        Args:
            may: whether a model is told of.
        """
        models = {
            model: summary(watched, self._feedback[model].performance() if model in self._feedback else None)
            for model, watched in sorted(self._watched.items())
            if may(model)
        }
        found: dict[str, Any] = msgspec.to_builtins(
            state.State(
                at=datetime.now(UTC).isoformat(timespec="seconds"),
                length=self._length,
                alert=any(model.alert for model in models.values()),
                models=models,
            )
        )
        return found


def _read(model: str, reference: Mapping[str, Any] | None) -> tuple[Reference | None, str]:
    if reference is None:
        return None, ""
    try:
        return Reference.read(reference), ""
    except ValueError as refused:
        _log.warning("%s: drift is not watched: %s", model, refused)
        return None, str(refused)
