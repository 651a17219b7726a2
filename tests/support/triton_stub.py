"""What a python model sees of Triton, for tests without one: the order of things is response_sender.cc's."""

from __future__ import annotations

import json
import sys
import types
from collections.abc import Callable
from typing import Any, ClassVar


class TritonError(Exception):
    INTERNAL, INVALID_ARG, UNAVAILABLE, CANCELLED = range(4)

    def __init__(self, sentence: str, code: int) -> None:
        self.sentence, self.code = sentence, code


class InferenceResponse:
    def __init__(self, outputs: Any = (), error: TritonError | None = None) -> None:
        self.outputs, self.error = outputs, error


class Logger:
    said: ClassVar[list[str]] = []

    @classmethod
    def log_error(cls, sentence: str) -> None:
        cls.said.append(sentence)


class Metric:
    def __init__(self) -> None:
        self.value = 0.0

    def increment(self, value: float) -> None:
        _need_memory()
        self.value += value

    def set(self, value: float) -> None:
        _need_memory()
        self.value = value


class MetricFamily:
    GAUGE, COUNTER = range(2)
    full = False
    all: ClassVar[dict[tuple[str, tuple[tuple[str, str], ...]], Metric]] = {}

    def __init__(self, *, name: str, description: str, kind: int) -> None:
        self.name = name

    def Metric(self, labels: dict[str, str]) -> Metric:  # noqa: N802  Triton's name
        return self.all.setdefault((self.name, tuple(sorted(labels.items()))), Metric())


def _need_memory() -> None:
    if MetricFamily.full:
        raise RuntimeError("Failed to increase the shared memory pool size")


class Sender:
    """Counts an answer before it asks for memory, and takes no second one."""

    def __init__(self, full: Callable[[], bool]) -> None:
        self.got: list[InferenceResponse] = []
        self._sent, self._full = 0, full

    def send(self, response: InferenceResponse, flags: int) -> None:
        if self._sent:
            raise RuntimeError("Non-decoupled model cannot send more than one response.")
        self._sent += 1
        if self._full():
            raise RuntimeError("Failed to increase the shared memory pool size")
        self.got.append(response)

    def is_cancelled(self) -> bool:
        return False


class Request:
    def __init__(self, content: Any, timeout_s: float = 0.0, full: Callable[[], bool] = lambda: False) -> None:
        self.content, self.sender = content, Sender(full)
        self._timeout_us = int(timeout_s * 1e6)

    def get_response_sender(self) -> Sender:
        return self.sender

    def requested_output_names(self) -> list[str]:
        return ["y"]

    def timeout(self) -> int:
        return self._timeout_us


def arguments(name: str, places: int = 8) -> dict[str, str]:
    """Of TritonPythonModel.initialize."""
    config = {"name": name, "parameters": {"max_queue_size": {"string_value": str(places)}}}
    return {"model_config": json.dumps(config), "model_instance_name": f"{name}_0_0"}


def install() -> None:
    """Be triton_python_backend_utils, which only Triton's own processes have."""
    module: Any = types.ModuleType("triton_python_backend_utils")
    for each in (TritonError, InferenceResponse, Logger, MetricFamily):
        setattr(module, each.__name__, each)
    module.TRITONSERVER_RESPONSE_COMPLETE_FINAL = 1
    sys.modules.setdefault(module.__name__, module)
