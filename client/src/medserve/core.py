"""What the client does, without doing it: each verb as a generator that says what to send and when to pause.

`Client` and `AsyncClient` run the same generators; neither knows anything that the other does not.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from medserve.batch import inputs_of
from medserve.calls import Arrays, Ask, Call, Infer, Tensor
from medserve.description import STATISTICS, Description, Health
from medserve.errors import (
    BrokenAnswer,
    InvalidInput,
    MedServeError,
    Overloaded,
    TimedOut,
    Unavailable,
    UnknownModel,
    timed_out,
)
from medserve.items import Sendable, contents
from medserve.prediction import Prediction
from medserve.retry import Deadline, Retry, checked_timeout

# The server's models of itself, and their tensors.
DESCRIBE, DESCRIPTION, REPORT, SUMMARY = "describe", "description", "report", "summary"
POLL_S = 0.25  # between looks at a server that is not ready
# With less time left nothing is sent: no model answers so soon, and a Triton before 25.01 may crash of calls that are
# taken back at once (triton-inference-server/server#7368; 2.51 did after some thousand of 1 ms, and not of 10 ms).
LEAST_S = 0.01


@dataclass(frozen=True, slots=True)
class Send:
    """Bring this to the server, and send back the answer, or throw the error."""

    call: Call
    timeout_s: float


@dataclass(frozen=True, slots=True)
class Pause:
    """Wait, and send back anything."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Work:
    """Do this, which may read files or take long, and send back what it returns, or throw its error."""

    function: Callable[[], Any]


T = TypeVar("T")
Step = Send | Pause | Work
Procedure = Generator[Step, Any, T]


class Core:
    """All verbs. Keeps what the server said of its models until it fails; safe in any number of threads.

    Args:
        timeout_s: of each verb, unless it is given another.
        retry: see Retry.
        preprocess: do the first step of a model here: see `medserve.preprocessing`.
        now: a clock that never goes back, in seconds.

    Raises:
        ValueError: timeout_s is no finite number above 0.
    """

    def __init__(
        self,
        timeout_s: float,
        retry: Retry,
        *,
        preprocess: bool = False,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self.timeout_s = checked_timeout(timeout_s)
        self._retry = retry
        self._preprocess = preprocess
        self._now = now
        self._described: Mapping[str, Description] = {}

    def predict(self, model: str, given: Mapping[str, Sendable], timeout_s: float | None) -> Procedure[Prediction]:
        """One item through one model."""
        return (yield from self.predict_item(model, given, timeout_s))

    def predict_item(self, model: str, item: object, timeout_s: float | None) -> Procedure[Prediction]:
        """The same of an item of a batch: a mapping as `predict` takes it, or the only input itself."""
        deadline = self._deadline(timeout_s)
        described = yield from self._description(model, deadline)
        given = inputs_of(described, item)
        sent = yield from _read(described, given)
        if self._preprocess:
            arrays = yield from self._in_two(described, sent, deadline)
        else:
            tensors = tuple(Tensor.of_bytes(name, content) for name, content in sent.items())
            arrays = yield from self._asked(Infer(model, tensors, outputs_of(described)), deadline)
        return prediction(described, arrays, [name for name, content in sent.items() if content], deadline.elapsed_s)

    def _in_two(self, described: Description, sent: Mapping[str, bytes], deadline: Deadline) -> Procedure[Arrays]:
        """The network on tensors that were made here, then the report on its summary."""
        from medserve.preprocessing import first_step, other_preprocessing, read_alike

        made: tuple[Tensor, ...]
        made, statistics = yield Work(lambda: first_step(described, sent))
        arrays = yield from self._asked(Infer(described.net, made, (*described.outputs, SUMMARY)), deadline)
        summary = Tensor.of_array(SUMMARY, arrays.pop(SUMMARY))
        reported = yield from self._asked(Infer(REPORT, (summary,), (REPORT,)), deadline)
        if not read_alike(reported[REPORT].ravel()[0]):
            self._described = {}
            raise other_preprocessing(described.name)
        return arrays | reported | statistics

    def describe(self, model: str, timeout_s: float | None) -> Procedure[Description]:
        """One model's declaration."""
        return (yield from self._description(model, self._deadline(timeout_s)))

    def models(self, timeout_s: float | None) -> Procedure[dict[str, Description]]:
        """All of them, asked anew."""
        return dict((yield from self._descriptions(self._deadline(timeout_s))))

    def seen(
        self, model: str, given: Mapping[str, Sendable], timeout_s: float | None
    ) -> Procedure[dict[str, NDArray[np.uint8]]]:
        """The pictures as the network sees them."""
        deadline = self._deadline(timeout_s)
        described = yield from self._description(model, deadline)
        sent = yield from _read(described, given)
        pictures = [each for each in described.inputs if each.pixels and sent[each.name]]
        if not pictures:
            return {}
        tensors = tuple(Tensor.of_bytes(name, content) for name, content in sent.items())
        wanted = tuple(each.pixels for each in pictures)
        arrays = yield from self._asked(Infer(pictures[0].step, tensors, wanted), deadline)
        return {each.name: arrays[each.pixels][0].transpose(1, 2, 0) for each in pictures}

    def health(self, timeout_s: float | None) -> Procedure[Health]:
        """Never an error of the server's: that is an answer too."""
        deadline = self._deadline(timeout_s)
        try:
            live = yield from self._said(Ask("live"), deadline)
            ready = live and (yield from self._said(Ask("ready"), deadline))
            names = list((yield from self._descriptions(deadline))) if ready else []
            models = {}
            for name in names:
                models[name] = yield from self._said(Ask("model_ready", name), deadline)
        except MedServeError as exc:
            live = isinstance(exc, Overloaded) or not isinstance(exc, (Unavailable, TimedOut))
            return Health(live=live, ready=False, models={}, reason=str(exc))
        missing = [name for name, is_ready in models.items() if not is_ready]
        reason = "" if ready and not missing else f"not ready: {', '.join(missing) or 'the server'}"
        return Health(live=live, ready=ready, models=models, reason=reason)

    def wait_until_ready(self, models: Sequence[str], timeout_s: float | None) -> Procedure[None]:
        """Ask again and again; a server that is not there yet may still come."""
        deadline = self._deadline(timeout_s)
        waited_for = [Ask("ready"), *(Ask("model_ready", model) for model in models)]
        told = "not ready"
        while waited_for:
            try:
                if (yield from self._said(waited_for[0], deadline, attempts=1)):
                    waited_for.pop(0)
                    continue
                told = f"{waited_for[0].where} is not ready"
            except (Unavailable, TimedOut) as exc:
                told = str(exc)
            if deadline.left_s <= POLL_S:
                raise TimedOut(f"server: expected it to be ready within {deadline.timeout_s:g} s; {told}")
            yield Pause(POLL_S)

    def _deadline(self, timeout_s: float | None) -> Deadline:
        return Deadline(self.timeout_s if timeout_s is None else checked_timeout(timeout_s), self._now)

    def _description(self, model: str, deadline: Deadline) -> Procedure[Description]:
        known = self._described
        if model not in known:
            known = yield from self._descriptions(deadline)
        if model not in known:
            raise UnknownModel(f"{model}: expected one of {', '.join(known)}: no such model on this server")
        return known[model]

    def _descriptions(self, deadline: Deadline) -> Procedure[Mapping[str, Description]]:
        call = Infer(DESCRIBE, (Tensor.of_bytes("model", b""),), (DESCRIPTION,))
        arrays = yield from self._asked(call, deadline)
        try:
            found = json.loads(arrays[DESCRIPTION].ravel()[0])
            described = {name: Description.read(name, one) for name, one in found.items()}
        except (ValueError, KeyError, TypeError, IndexError, AttributeError) as exc:
            raise BrokenAnswer(
                f"{DESCRIBE}: expected MedServe's description of its models, got another: {exc}"
            ) from exc
        self._described = described
        return described

    def _said(self, question: Ask, deadline: Deadline, attempts: int | None = None) -> Procedure[bool]:
        arrays = yield from self._asked(question, deadline, attempts)
        return bool(arrays["answer"][0])

    def _asked(self, call: Call, deadline: Deadline, attempts: int | None = None) -> Procedure[Arrays]:
        """One call, again where that is safe and there is time."""
        attempt = 1
        while True:
            if (left := deadline.left_s) < LEAST_S:
                raise timed_out(call.where, deadline.timeout_s)
            try:
                return (yield Send(call, left))
            except InvalidInput:
                self._described = {}  # what the models take may have changed meanwhile
                raise
            except TimedOut as exc:
                if exc.status is None:  # this side's clock: the whole call's time is over, not an attempt's
                    raise timed_out(call.where, deadline.timeout_s) from exc
                raise
            except MedServeError as exc:
                if not isinstance(exc, Overloaded):
                    self._described = {}  # whoever answers next may be another server
                attempt += 1
                pause = self._retry.pause_s(attempt)
                if not exc.retryable or attempt > (attempts or self._retry.attempts) or pause >= deadline.left_s:
                    raise
            yield Pause(pause)


def _read(described: Description, given: Mapping[str, Sendable]) -> Procedure[dict[str, bytes]]:
    """The bytes to send; what is bytes or text already is not worth a thread."""
    if all(isinstance(value, (bytes, str)) for value in given.values()):
        return contents(described.name, described.optional, given)
    found: dict[str, bytes] = yield Work(lambda: contents(described.name, described.optional, given))
    return found


def outputs_of(described: Description) -> tuple[str, ...]:
    """What the model that takes files is asked for: all that a `prediction` is made of."""
    return (*described.outputs, *([STATISTICS] if described.statistics else ()), REPORT)


def prediction(described: Description, arrays: Arrays, sent: Sequence[str], seconds: float) -> Prediction:
    """Out of one item's answer.

    Args:
        described: the model.
        arrays: its outputs and its report, with the batch axis.
        sent: names of the inputs that were not left out.
        seconds: since the call.

    Raises:
        BrokenAnswer: no report in it.
    """
    try:
        outputs = {name: array[0] for name, array in arrays.items() if name not in (REPORT, STATISTICS)}
        numbers = arrays[STATISTICS][0].tolist() if described.statistics else ()
        statistics = dict(zip(described.statistics, numbers, strict=True))
        report: dict[str, Any] = dict(json.loads(arrays[REPORT].ravel()[0]))
    except (ValueError, KeyError, TypeError, IndexError) as exc:
        raise BrokenAnswer(f"{described.name}: expected one item and its report in JSON, got another: {exc}") from exc
    heatmaps = {each.name: outputs[each.heatmap] for each in described.inputs if each.heatmap and each.name in sent}
    return Prediction(described.name, report, outputs, heatmaps, seconds, statistics)
