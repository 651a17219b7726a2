"""One instance of a python model: takes requests in at once, and answers them in batches on a thread of its own.

Triton's queue could be bounded too. But then it hands nothing over ahead, and who comes while the model is busy is seen
when the next one comes, or after half a second (measured; compare triton-inference-server/server#8870).
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import threading
import time
import traceback
from dataclasses import dataclass
from typing import Any

import triton_python_backend_utils as pb_utils

from queueing.metrics import Metrics
from queueing.queue import MOST_PLACES, PLACES, RequestQueue

LONGEST_WAIT_S = 600.0  # for callers who do not say


@dataclass(frozen=True, slots=True)
class Request:
    """What was sent, without Triton's hold on it: shared memory would fill up with those who wait.

    Args:
        content: as the worker's `read` gave it.
        items: in it.
        wanted: names of the outputs that are asked for.
        sender: Triton's, for the one answer.
    """

    content: Any
    items: int
    wanted: list[str]
    sender: Any


class Worker:
    """What a TritonPythonModel does with its requests.

    Args:
        arguments: of TritonPythonModel.initialize.
        read: Triton's request → (content, items, bytes): copies, for the request goes.
        answer: Requests → an InferenceResponse for each, in their order. What it raises fails them all, by its kind.
        most: items in a batch; a request that has more is one of its own.
        nice: of the work alone: to take in and to refuse does not wait for it.
        clock: never goes back, in seconds.
    """

    def __init__(self, arguments, read, answer, *, most, nice=0, clock=time.monotonic):
        config = json.loads(arguments["model_config"])
        self._name, self._read, self._answer, self._most = config["name"], read, answer, most
        places = int(config.get("parameters", {}).get(PLACES, {}).get("string_value", MOST_PLACES))
        instances = sum(group.get("count", 1) for group in config.get("instance_group", [])) or 1
        # Never shorter than a batch, which must be able to gather.
        self._clock = clock
        self._queue = RequestQueue(max(most, math.ceil(places / instances)), self._refuse, clock=clock)
        self._busy = 0
        self.metrics = Metrics(
            self._name, arguments["model_instance_name"], lambda: len(self._queue), lambda: self._busy
        )
        self._thread = threading.Thread(target=self._work, args=(nice,), name="work", daemon=True)
        self._thread.start()

    def execute(self, requests):
        """TritonPythonModel.execute."""
        for request in requests:
            sender = request.get_response_sender()
            try:
                content, items, size_bytes = self._read(request)
                own = Request(content, items, request.requested_output_names(), sender)
            except Exception as exc:  # one unreadable request is its own answer, not everybody's
                self._send(sender, self.failed(exc))
                continue
            self._queue.enter(own, items, request.timeout() / 1e6 or LONGEST_WAIT_S, size_bytes)

    def finalize(self):
        """TritonPythonModel.finalize: those who wait are answered first."""
        self._queue.close()
        self._thread.join()
        self.metrics.close()

    def failed(self, exc, sentence=""):
        """The answer where something of ours went wrong, counted.

        Args:
            exc: what; its kind alone is told: a message could quote the input.
            sentence: more, where the input cannot be in it.
        """
        self.metrics.failed()
        told = f"[internal] {self._name}: {type(exc).__name__}" + (f": {sentence}" if sentence else "")
        return error(told, pb_utils.TritonError.INTERNAL)

    def _work(self, nice):
        try:
            with contextlib.suppress(OSError):  # a sandbox that forbids it: slower under overload, but not down
                os.nice(nice)  # Linux: this thread's alone
            while left := self._queue.leave(self._most):
                self._busy = len(left)
                there = [waited for waited in left if not self._is_gone(waited.request)]
                if there:
                    self._work_on(there)
                left.clear()  # nobody's files are held while nobody is there
                there.clear()
                self._busy = 0
        except BaseException:
            _end()

    def _work_on(self, left):
        started = self._clock()
        requests = [waited.request for waited in left]
        try:
            responses = self._answer(requests)
        except Exception as exc:  # whatever it is: none may hang, and the next are others
            responses = [self.failed(exc) for _ in requests]
        self.metrics.answered(
            [waited.seconds for waited in left],
            sum(request.items for request in requests),
            self._clock() - started,
        )
        for request, response in zip(requests, responses, strict=True):
            self._send(request.sender, response)

    def _is_gone(self, request):
        if not request.sender.is_cancelled():
            return False
        self.metrics.refused(None)
        self._send(request.sender, error("[cancelled] the caller went away", pb_utils.TritonError.CANCELLED))
        return True

    def _refuse(self, request, why):
        try:
            self.metrics.refused(why)
            self._send(request.sender, error(f"{self._name}: {why.value}", pb_utils.TritonError.UNAVAILABLE))
        except BaseException:
            _end()

    def _send(self, sender, response):
        """The one answer. Where shared memory is full the stub has counted it as sent before it asked for memory, and
        takes no other: that caller hears nothing until his own time is over, which is why it is counted and logged."""
        try:
            sender.send(response, flags=pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL)
        except Exception as exc:  # or the request was ended already: the next ones go on
            pb_utils.Logger.log_error(f"an answer was lost: {type(exc).__name__}: {exc}")
            refusal = self.failed(exc, "the answer could not be handed over")
            with contextlib.suppress(Exception):
                sender.send(refusal, flags=pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL)


def _end():
    """Requests would be taken in for nobody, or never answered. A dead worker is seen, and replaced."""
    traceback.print_exc()
    os._exit(1)


def error(sentence, code):
    """A response that is none."""
    return pb_utils.InferenceResponse(error=pb_utils.TritonError(sentence, code))
