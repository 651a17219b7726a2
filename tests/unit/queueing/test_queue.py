"""A queue under callers who come too many, wait too long, or come from everywhere at once."""

from __future__ import annotations

import threading
from collections import Counter

from queueing.queue import Refusal, RequestQueue
from tests.support.clock import HANG_S, Clock

LONG_S = 600.0


class Refused:
    """Who was refused, and why, in order."""

    def __init__(self) -> None:
        self.all: list[tuple[object, Refusal]] = []
        self.heard = {why: threading.Event() for why in Refusal}

    def __call__(self, request: object, why: Refusal) -> None:
        self.all.append((request, why))
        self.heard[why].set()


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
    clock = Clock()
    queue = RequestQueue[str](10, Refused(), clock=clock)
    queue.enter("early", 1, LONG_S)
    clock.advance(2)
    queue.enter("late", 1, LONG_S)
    clock.advance(0.5)
    assert [(waited.request, waited.seconds) for waited in queue.leave(2)] == [("early", 2.5), ("late", 0.5)]
    queue.close()


def test_no_place_is_said_at_once_and_a_place_that_was_left_is_free() -> None:
    refused = Refused()
    queue = RequestQueue[str](2, refused)
    for name in ("a", "b", "c"):
        queue.enter(name, 1, LONG_S)
    assert refused.all == [("c", Refusal.FULL)]
    assert len(queue) == 2
    assert _left(queue, 1) == ["a"]
    queue.enter("d", 1, LONG_S)
    assert _left(queue, 9) == ["b", "d"]
    queue.close()


def test_who_has_waited_too_long_hears_so_then_though_nobody_leaves() -> None:
    refused = Refused()
    queue = RequestQueue[str](10, refused)
    queue.enter("patient", 1, LONG_S)
    queue.enter("hurried", 1, 0.05)  # the expiry thread waits for the other one's end
    assert refused.heard[Refusal.EXPIRED].wait(HANG_S)
    assert refused.all == [("hurried", Refusal.EXPIRED)]
    assert _left(queue, 9) == ["patient"]
    queue.close()


def test_a_request_that_may_wait_for_ever_does() -> None:
    """Triton's timeout has 64 bits of microseconds: more than Python's locks wait."""
    refused = Refused()
    queue = RequestQueue[str](10, refused)
    queue.enter("patient", 1, 2**64 / 1e6)
    queue.enter("hurried", 1, 0.01)
    assert refused.heard[Refusal.EXPIRED].wait(HANG_S)
    assert _left(queue, 9) == ["patient"]
    queue.close()


def test_who_comes_late_to_his_turn_is_not_served() -> None:
    refused, clock = Refused(), Clock()
    queue = RequestQueue[str](10, refused, clock=clock)
    queue.enter("hurried", 1, 5)
    queue.enter("patient", 1, LONG_S)
    clock.advance(4.9)
    queue.enter("just in time", 1, LONG_S)
    assert not refused.all
    clock.advance(0.1)
    assert _left(queue, 9) == ["patient", "just in time"]
    assert refused.all == [("hurried", Refusal.EXPIRED)]
    queue.close()


def test_whoever_waits_for_work_wakes_when_it_comes_and_when_the_queue_closes() -> None:
    queue = RequestQueue[str](10, Refused())
    got: list[str] = []
    first = threading.Event()

    def work() -> None:
        while left := _left(queue, 4):
            got.extend(left)
            first.set()

    worker = threading.Thread(target=work)
    worker.start()
    queue.enter("a", 1, LONG_S)
    assert first.wait(HANG_S)
    queue.enter("b", 1, LONG_S)
    queue.close()
    worker.join(HANG_S)
    assert not worker.is_alive()
    assert got == ["a", "b"]  # those who waited when it closed too


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
            assert refused.heard[Refusal.FULL].wait(HANG_S)  # eight askers fill 32 places, whatever runs first

    askers = [threading.Thread(target=ask, args=(first,)) for first in range(0, 4000, 500)]
    workers = [threading.Thread(target=work) for _ in range(2)]
    for thread in (*askers, *workers):
        thread.start()
    for thread in askers:
        thread.join()
    queue.close()
    for thread in workers:
        thread.join(HANG_S)
    assert Counter(served) + Counter(request for request, _ in refused.all) == Counter(range(4000))
    assert served
    assert Refusal.FULL in {why for _, why in refused.all}
