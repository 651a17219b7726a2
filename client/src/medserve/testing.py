"""A server in memory, so that users can test their code without one.

from medserve import Client, Unavailable
from medserve.testing import FakeModel, FakeServer

server = FakeServer({"chest_xray": FakeModel(labels=("Normal", "COVID-19"), probabilities=(0.2, 0.8))})
with Client(transport=server) as client:
    assert client.predict("chest_xray", image=b"a film").label == "COVID-19"
"""

from __future__ import annotations

import json
import threading
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medserve.calls import Arrays, Ask, Call, Infer, decoded, yes
from medserve.core import DESCRIBE, DESCRIPTION, REPORT
from medserve.errors import InvalidInput, MedServeError, UnknownModel

Answering = Callable[[Mapping[str, bytes]], Mapping[str, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class FakeModel:
    """One model of a fake server: a classifier with `labels`, a regression without.

    Args:
        labels: in the order of the probabilities; empty for a regression.
        probabilities: of each label, in every answer.
        value: of a regression, in every answer.
        unit: of that value.
        inputs: names.
        optional: those of them that may be left out.
        heatmap: FP32 [h, w] of every input; None for a model without heat maps.
        needs_review: in every answer.
        answering: given the bytes of each input, changes of the report: {"prediction": …}. It may raise
            `medserve.InvalidInput`, as the real one does.
    """

    labels: tuple[str, ...] = ()
    probabilities: tuple[float, ...] = ()
    value: float = 0.0
    unit: str = ""
    inputs: tuple[str, ...] = ("image",)
    optional: tuple[str, ...] = ()
    heatmap: NDArray[np.float32] | None = None
    needs_review: bool = False
    answering: Answering = field(default=lambda _inputs: {})

    def __post_init__(self) -> None:
        if len(self.labels) != len(self.probabilities):
            raise ValueError(f"probabilities: expected one for each of {self.labels}, got {self.probabilities}")


class FakeServer:
    """A `Transport`; `asynchronous()` is the same server as an `AsyncTransport`. Any thread may use it.

    Args:
        models: by name.
    """

    def __init__(self, models: Mapping[str, FakeModel]) -> None:
        self._models = models
        self._faults: deque[MedServeError] = deque()
        self._lock = threading.Lock()
        self.calls: list[Call] = []
        """Everything that was asked, in order."""

    def fail(self, error: MedServeError, times: int = 1) -> None:
        """Let the next calls end with this error: `Unavailable("…", retryable=True)` is asked again."""
        self._faults.extend([error] * times)

    def send(self, call: Call, timeout_s: float) -> Arrays:  # noqa: ARG002  it never waits
        """What a server would answer, at once."""
        with self._lock:
            self.calls.append(call)
            if self._faults:
                raise self._faults.popleft()
        if isinstance(call, Ask):
            return yes(call.question != "model_ready" or call.model in self._models)
        if call.model == DESCRIBE:
            described = {name: _described(model) for name, model in self._models.items()}
            return {DESCRIPTION: _text(described)}
        if call.model not in self._models:
            raise UnknownModel(f"{call.model}: expected one of {', '.join(self._models)}", status="NOT_FOUND")
        return _answer(call, self._models[call.model])

    def close(self) -> None:
        """Nothing to end."""

    def asynchronous(self) -> AsyncFakeServer:
        """For `AsyncClient`."""
        return AsyncFakeServer(self)


class AsyncFakeServer:
    """An `AsyncTransport` to a `FakeServer`."""

    def __init__(self, server: FakeServer) -> None:
        self._server = server

    async def send(self, call: Call, timeout_s: float) -> Arrays:
        """What a server would answer, at once."""
        return self._server.send(call, timeout_s)

    async def close(self) -> None:
        """Nothing to end."""


def _answer(call: Infer, model: FakeModel) -> Arrays:
    sent = {tensor.name: bytes(decoded(tensor.name, "BYTES", tensor.shape, tensor.raw)[0, 0]) for tensor in call.inputs}
    for name in model.inputs:
        if not sent.get(name) and name not in model.optional:
            raise InvalidInput(f"{call.model}: [empty] {name}: expected bytes, got none", code="empty", status="400")
    outputs: Arrays = {name: np.zeros((1, 1), np.float32) for name in call.outputs}
    if model.labels:
        outputs["probabilities"] = np.array([model.probabilities], np.float32)
    if model.heatmap is not None:
        outputs |= {f"heatmap_{name}": model.heatmap[None] for name in model.inputs}
    outputs[REPORT] = _text(_report(call.model, model) | dict(model.answering(sent)))
    return {name: outputs[name] for name in call.outputs}


def _report(name: str, model: FakeModel) -> dict[str, Any]:
    found: dict[str, Any] = {"prediction": model.value, "unit": model.unit}
    if model.labels:
        best = int(np.argmax(model.probabilities))
        found = {
            "prediction": model.labels[best],
            "confidence": model.probabilities[best],
            "probabilities": dict(zip(model.labels, model.probabilities, strict=True)),
            "uncertainty": 0.0,
        }
    return {
        "model": name,
        **found,
        "needs_review": model.needs_review,
        "review_reasons": ["a fake server says so"] if model.needs_review else [],
        "disclaimer": "A fake server's answer.",
        "timestamp": datetime.now(timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z"),  # noqa: UP017
        "provenance": {
            "model_version": "1",
            "artefact": "fake",
            "artefact_sha256": "0" * 64,
            "precision": "fp32",
            "weights": "untrained",
            "checkpoint_sha256": None,
            "temperature": 1.0,
            "calibrated": False,
            "preprocessing": "fake",
        },
    }


def _described(model: FakeModel) -> dict[str, Any]:
    outputs = [{"name": "probabilities" if model.labels else "value", "meaning": "the same in every answer"}]
    if model.heatmap is not None:
        outputs += [{"name": f"heatmap_{name}", "meaning": "the same in every answer"} for name in model.inputs]
    return {
        "task": "To be asked in tests.",
        "labels": model.labels,
        "unit": model.unit,
        "inputs": [
            {
                "name": name,
                "meaning": "anything",
                "optional": name in model.optional,
                "heatmap": "" if model.heatmap is None else f"heatmap_{name}",
                "pixels": "" if model.heatmap is None else f"pixels_{name}",
                "step": "",
            }
            for name in model.inputs
        ],
        "outputs": outputs,
        "intended_use": "Tests.",
        "limits": [],
        "disclaimer": "A fake server's answer.",
        "weights": {"trained": False},
    }


def _text(found: Mapping[str, Any]) -> NDArray[Any]:
    answer = np.empty((1, 1), np.object_)
    answer[0, 0] = json.dumps(found).encode()
    return answer
