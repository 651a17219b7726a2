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
WAITING, BUSY = "medserve_worker_waiting", "medserve_worker_busy"
FAILED = "medserve_worker_failed_total"
READ, READ_BYTES = "medserve_input_total", "medserve_input_bytes_total"
READ_PIXELS, UNREADABLE = "medserve_input_pixels_total", "medserve_input_refused_total"
_SAID = {
    REQUESTS: "Requests that a worker has answered",
    ITEMS: "Items in the requests that a worker has answered",
    QUEUE_S: "Seconds that answered requests waited for their worker",
    WORK_S: "Seconds that the batches of answered requests took, counted for each of their requests",
    BATCHES: "Batches, by their number of items",
    REFUSED: "Requests that waited no more, by reason: full, expired, gone",
    WAITING: "Requests that wait for a worker now",
    BUSY: "Requests that a worker works on now",
    FAILED: "Requests that ended in an error of the server's own",
    READ: "Inputs that were read, by format",
    READ_BYTES: "Bytes of the inputs that were read",
    READ_PIXELS: "Pixels of the inputs that were read, before they were resized",
    UNREADABLE: "Inputs that were refused for what they are, by reason code",
}
_OWN_LABEL = {
    BATCHES: "size",
    REFUSED: "reason",
    WAITING: "worker",
    BUSY: "worker",
    READ: "format",
    UNREADABLE: "reason",
}
# Told as zero from the start: of a series that begins at 3 Prometheus sees no increase.
_FROM_ZERO = (
    *((name, "") for name in (REQUESTS, ITEMS, QUEUE_S, WORK_S, FAILED)),
    *((REFUSED, reason) for reason in ("full", "expired", "gone")),
)


class Metrics:
    """Of one worker: gathered here, handed to Triton once a second, since each hand-over is a message.

    Args:
        model, worker: its name, and its instance's.
        waiting, busy: how many requests wait now, and are worked on.
    """

    def __init__(self, model, worker, waiting, busy):
        self._labels, self._worker = {"model": model}, worker
        self._gauges = {WAITING: waiting, BUSY: busy}
        self._families = {
            name: pb_utils.MetricFamily(
                name=name,
                description=said,
                kind=pb_utils.MetricFamily.GAUGE if name in self._gauges else pb_utils.MetricFamily.COUNTER,
            )
            for name, said in _SAID.items()
        }
        self._series = {}
        self._grown = Counter(dict.fromkeys(_FROM_ZERO, 0))
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

    def failed(self):
        """A request that ended in an error of ours."""
        with self._lock:
            self._grown[FAILED, ""] += 1

    def read(self, seen):
        """An input that was read: a preprocess.seen.Seen."""
        with self._lock:
            self._grown[READ, seen.format] += 1
            self._grown[READ_BYTES, ""] += seen.size_bytes
            self._grown[READ_PIXELS, ""] += seen.pixels

    def unreadable(self, reason):
        """An input that was refused for what it is: its code."""
        with self._lock:
            self._grown[UNREADABLE, reason] += 1

    def close(self):
        """Tell the rest."""
        self._ended.set()
        self._teller.join()

    def _tell(self):
        while True:
            ended = self._ended.wait(EVERY_S)
            with self._lock:
                grown, self._grown = self._grown, Counter()
            try:
                while grown:
                    (name, of), value = next(iter(grown.items()))
                    self._metric(name, of).increment(value)
                    del grown[name, of]
                for name, now in self._gauges.items():
                    self._metric(name, self._worker).set(now())
            except Exception as exc:  # shared memory is full: it is told a second later
                pb_utils.Logger.log_error(f"metrics were not told: {type(exc).__name__}: {exc}")
                with self._lock:
                    self._grown.update(grown)
            if ended:
                return

    def _metric(self, name, of):
        if (name, of) not in self._series:
            labels = self._labels | ({_OWN_LABEL[name]: of} if name in _OWN_LABEL else {})
            self._series[name, of] = self._families[name].Metric(labels=labels)
        return self._series[name, of]
