"""Many requests, few runs: those of equal shapes are joined, and their answers cut apart again."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.generic]
Inputs = Mapping[str, Array]
Run = Callable[[Inputs, Sequence[str]], list[Array]]
Answer = dict[str, Array] | Exception


def answer_all(requests: Sequence[tuple[Inputs, Sequence[str]]], run: Run, *, batched: bool) -> list[Answer]:
    """Answer each request with its arrays by name, or with the exception that its run raised.

    Args:
        requests: (inputs by name, names of the outputs asked for) of each.
        run: the engine.
        batched: axis 0 of every tensor counts items. False: each request runs alone.
    """
    answers: list[Answer] = [{}] * len(requests)
    for members in _groups([inputs for inputs, _ in requests], batched=batched):
        wanted = sorted({name for place in members for name in requests[place][1]})
        try:
            joined = _joined([requests[place][0] for place in members])
            arrays = dict(zip(wanted, run(joined, wanted), strict=True))
        except Exception as exc:  # the whole group's answer: none of its requests may hang
            for place in members:
                answers[place] = exc
            continue
        start = 0
        for place in members:
            inputs, names = requests[place]
            stop = start + len(next(iter(inputs.values()))) if batched else None
            answers[place] = {name: arrays[name][start:stop] if batched else arrays[name] for name in names}
            start = stop or 0
    return answers


def _groups(requests: Sequence[Inputs], *, batched: bool) -> Iterable[list[int]]:
    """Places of the requests that can share a run."""
    if not batched:
        return [[place] for place in range(len(requests))]
    groups: dict[tuple[tuple[str, tuple[int, ...]], ...], list[int]] = {}
    for place, inputs in enumerate(requests):
        shapes = tuple(sorted((name, array.shape[1:]) for name, array in inputs.items()))
        groups.setdefault(shapes, []).append(place)
    return groups.values()


def _joined(members: Sequence[Inputs]) -> Inputs:
    if len(members) == 1:
        return members[0]
    return {name: np.concatenate([inputs[name] for inputs in members]) for name in members[0]}
