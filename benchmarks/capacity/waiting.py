"""How long calls wait for one of several like servers, and how many are answered: the textbook's queues.

Calls that come at random, whatever became of those before: M/M/c (Erlang). Callers who wait for their answer before the
next call: M/M/c//N, of which whoever comes finds what the N - 1 others leave (arrival theorem). Both take service times
as exponential, first come, first served, and one queue for all servers, which a balancer by fewest calls comes near to.

Sources: Kleinrock, Queueing Systems I (1975), 3.5 and 3.8; Lavenberg and Reiser, J. Appl. Prob. 17 (1980) 1048.
"""

from __future__ import annotations

import math

NEVER = 1e-12  # a state less likely than that is none


def open_wait_s(per_second: float, servers: int, rate: float, share: float) -> float:
    """Seconds within which `share` of the calls that come begin to be served; infinite: more come than are served.

    Args:
        per_second: calls that come.
        servers: how many.
        rate: calls that each serves in a second.
        share: 0..1.
    """
    if per_second >= servers * rate:
        return math.inf
    blocked, offered = 1.0, per_second / rate
    for number in range(1, servers + 1):  # Erlang B
        blocked = offered * blocked / (number + offered * blocked)
    waits = blocked / (1 - offered / servers * (1 - blocked))  # Erlang C
    return math.log(waits / (1 - share)) / (servers * rate - per_second) if waits > 1 - share else 0.0


def closed_wait_s(callers: int, servers: int, rate: float, away_s: float, share: float) -> float:
    """The same for callers with one call each, who are away for `away_s` on average before the next."""
    found = _found(callers - 1, servers, rate, away_s)
    before = {calls - servers: odds for calls, odds in found.items() if calls >= servers}
    if sum(before.values()) <= 1 - share:
        return 0.0
    short_s, long_s = 0.0, 1 / rate
    while _late(before, servers * rate * long_s) > 1 - share:
        short_s, long_s = long_s, 2 * long_s
    while long_s - short_s > 1e-6:
        middle_s = (short_s + long_s) / 2
        late = _late(before, servers * rate * middle_s) > 1 - share
        short_s, long_s = (middle_s, long_s) if late else (short_s, middle_s)
    return long_s


def closed_per_second(callers: int, servers: int, rate: float, away_s: float) -> float:
    """Calls of theirs that are served in a second."""
    found = _found(callers, servers, rate, away_s)
    return rate * sum(min(calls, servers) * odds for calls, odds in found.items())


def _found(callers: int, servers: int, rate: float, away_s: float) -> dict[int, float]:
    """Calls that wait or are served → how likely."""
    if not away_s:
        return {callers: 1.0}
    weights = [0.0]  # logarithms
    for calls in range(1, callers + 1):
        weights.append(weights[-1] + math.log((callers - calls + 1) / away_s / (min(calls, servers) * rate)))
    most = max(weights)
    whole = sum(math.exp(weight - most) for weight in weights)
    likely = {calls: math.exp(weight - most) / whole for calls, weight in enumerate(weights)}
    return {calls: odds for calls, odds in likely.items() if odds > NEVER}


def _late(before: dict[int, float], mean: float) -> float:
    """How likely it is that a caller still waits.

    Args:
        before: calls that must be served before the one whose end is his turn → how likely.
        mean: calls that would have been served by now (Poisson's law).
    """
    first = max(0, int(mean - 8 * math.sqrt(mean) - 20))  # fewer are less likely than NEVER
    served, late = 0.0, 0.0
    for number in range(first, max(before) + 1):
        served += math.exp(number * math.log(mean) - mean - math.lgamma(number + 1)) if mean else float(not number)
        late += before.get(number, 0.0) * min(1.0, served)
    return late
