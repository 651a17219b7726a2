"""What a worker tells Prometheus of its queue: Triton sees only that a request was handed over.

Counters of all workers of a model are one series each; Triton adds them up.
"""

from __future__ import annotations

import threading
from collections import Counter

import triton_python_backend_utils as pb_utils

from queueing.queue import Refusal

EVERY_S = 1.0
REQUESTS, ITEMS = "medserve_worker_requests_total", "medserve_worker_items_total"
QUEUE_S, WORK_S = "medserve_worker_queue_seconds_total", "medserve_worker_work_seconds_total"
BATCHES, REFUSED = "medserve_worker_batches_total", "medserve_worker_refused_total"
WAITING = "medserve_worker_waiting"
_SAID = {
    REQUESTS: "Requests that a worker has answered",
    ITEMS: "Items in the requests that a worker has answered",
    QUEUE_S: "Seconds that answered requests waited for their worker",
    WORK_S: "Seconds that the batches of answered requests took, counted for each of their requests",
    BATCHES: "Batches, by their number of items",
    REFUSED: "Requests that waited no more, by reason: full, expired, gone",
    WAITING: "Requests that wait for a worker now",
}


class Metrics:
    """Of one worker: gathered here, handed to Triton once a second, since each hand-over is a message.

    Args:
        model, worker: its name, and its instance's.
        waiting: how many wait now.
    """

    def __init__(self, model, worker, waiting):
        self._labels, self._worker, self._waiting = {"model": model}, worker, waiting
        self._families = {
            name: pb_utils.MetricFamily(
                name=name,
                description=said,
                kind=pb_utils.MetricFamily.GAUGE if name == WAITING else pb_utils.MetricFamily.COUNTER,
            )
            for name, said in _SAID.items()
        }
        self._series = {}
        self._grown = Counter()
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._teller = threading.Thread(target=self._tell, name="metrics", daemon=True)
        self._teller.start()

    def answered(self, waited_s, items, work_s):
        """A batch.

        Args:
            waited_s: of each of its requests.
            items: in all of them.
            work_s: that it took.
        """
        with self._lock:
            self._grown[REQUESTS, ""] += len(waited_s)
            self._grown[ITEMS, ""] += items
            self._grown[QUEUE_S, ""] += sum(waited_s)
            self._grown[WORK_S, ""] += work_s * len(waited_s)
            self._grown[BATCHES, str(items)] += 1

    def refused(self, why):
        """A request that was not answered; None: its caller was gone."""
        with self._lock:
            self._grown[REFUSED, why.name.lower() if isinstance(why, Refusal) else "gone"] += 1

    def close(self):
        """Tell the rest."""
        self._ended.set()
        self._teller.join()

    def _tell(self):
        while True:
            ended = self._ended.wait(EVERY_S)
            with self._lock:
                grown, self._grown = self._grown, Counter()
            for (name, of), value in grown.items():
                self._metric(name, of).increment(value)
            self._metric(WAITING, self._worker).set(self._waiting())
            if ended:
                return

    def _metric(self, name, of):
        if (name, of) not in self._series:
            own = {BATCHES: "size", REFUSED: "reason", WAITING: "worker"}
            labels = self._labels | ({own[name]: of} if name in own else {})
            self._series[name, of] = self._families[name].Metric(labels=labels)
        return self._series[name, of]
