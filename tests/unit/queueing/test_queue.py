"""A queue under callers who come too many, wait too long, or come from everywhere at once."""

from __future__ import annotations

import threading
import time
from collections import Counter

from queueing.queue import LOOK_S, Refusal, RequestQueue

LONG_S = 60.0


class Refused:
    """Who was refused: why, and when."""

    def __init__(self) -> None:
        self.all: list[tuple[object, Refusal, float]] = []

    def __call__(self, request: object, why: Refusal) -> None:
        self.all.append((request, why, time.monotonic()))


def _left(queue: RequestQueue[str], most: int) -> list[str]:
    return [waited.request for waited in queue.leave(most)]


def test_first_come_first_served_in_batches_of_items() -> None:
    refused = Refused()
    queue = RequestQueue[str](10, refused)
    for name, items in (("a", 1), ("b", 2), ("c", 2), ("large", 9), ("d", 1)):
        queue.enter(name, items, LONG_S)
    assert [_left(queue, 4) for _ in range(4)] == [["a", "b"], ["c"], ["large"], ["d"]]
    assert not refused.all
    queue.close()


def test_how_long_each_waited_is_told() -> None:
    queue = RequestQueue[str](10, Refused())
    queue.enter("early", 1, LONG_S)
    time.sleep(0.2)
    queue.enter("late", 1, LONG_S)
    early, late = queue.leave(2)
    assert 0.2 <= early.seconds < 10
    assert late.seconds < early.seconds - 0.15
    queue.close()


def test_no_place_is_said_at_once_and_a_place_that_was_left_is_free() -> None:
    refused = Refused()
    queue = RequestQueue[str](2, refused)
    for name in ("a", "b", "c"):
        queue.enter(name, 1, LONG_S)
    assert [(request, why) for request, why, _ in refused.all] == [("c", Refusal.FULL)]
    assert len(queue) == 2
    assert _left(queue, 1) == ["a"]
    queue.enter("d", 1, LONG_S)
    assert _left(queue, 9) == ["b", "d"]
    queue.close()


def test_who_has_waited_too_long_hears_so_then_though_nobody_leaves() -> None:
    refused = Refused()
    queue = RequestQueue[str](10, refused)
    began = time.monotonic()
    queue.enter("patient", 1, LONG_S)
    queue.enter("hurried", 1, 0.2)
    while not refused.all and time.monotonic() < began + 5:
        time.sleep(0.001)
    ((request, why, moment),) = refused.all
    assert (request, why) == ("hurried", Refusal.EXPIRED)
    assert 0.2 <= moment - began < 0.2 + LOOK_S + 0.5  # half a second for a machine that is busy
    assert _left(queue, 9) == ["patient"]
    queue.close()


def test_who_comes_late_to_his_turn_is_not_served() -> None:
    refused = Refused()
    queue = RequestQueue[str](10, refused)
    queue.enter("no time at all", 1, 0.0)
    queue.enter("patient", 1, LONG_S)
    assert _left(queue, 9) == ["patient"]
    assert [request for request, _, _ in refused.all] == ["no time at all"]
    queue.close()


def test_whoever_waits_for_work_wakes_when_it_comes_and_when_the_queue_closes() -> None:
    queue = RequestQueue[str](10, Refused())
    got: list[list[str]] = []

    def work() -> None:
        while left := _left(queue, 4):
            got.append(left)
        got.append([])

    worker = threading.Thread(target=work)
    worker.start()
    time.sleep(0.05)
    queue.enter("a", 1, LONG_S)
    queue.enter("b", 1, LONG_S)
    queue.close()
    worker.join(5)
    assert not worker.is_alive()
    assert [one for left in got for one in left] == ["a", "b"]  # those who waited when it closed too


def test_every_request_of_many_threads_ends_once() -> None:
    refused = Refused()
    queue = RequestQueue[int](32, refused)
    served: list[int] = []

    def ask(first: int) -> None:
        for number in range(first, first + 500):
            queue.enter(number, 1 + number % 3, 0.002 if number % 5 == 0 else LONG_S)

    def work() -> None:
        while left := queue.leave(4):
            served.extend(waited.request for waited in left)
            time.sleep(0.0005)

    askers = [threading.Thread(target=ask, args=(first,)) for first in range(0, 4000, 500)]
    workers = [threading.Thread(target=work) for _ in range(2)]
    for thread in (*askers, *workers):
        thread.start()
    for thread in askers:
        thread.join()
    queue.close()
    for thread in workers:
        thread.join(20)
    ended = Counter(served) + Counter(request for request, _, _ in refused.all)
    assert ended == Counter(range(4000))
    assert served
    assert {why for _, why, _ in refused.all} >= {Refusal.FULL}
