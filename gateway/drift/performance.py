"""Rolling sensitivity and specificity, from the radiologists' labels."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Collection, Iterable, Sequence

import gateway.drift.state as state

_Z = 1.959963984540054  # standard deviations that hold 95 % of a normal distribution


class Feedback:
    """One model's answers that a radiologist has labelled.

    Args:
        length: most that are kept.
    """

    def __init__(self, length: int) -> None:
        self._length = length
        self._by_id: OrderedDict[str, tuple[str, str]] = OrderedDict()
        self._labels: tuple[str, ...] = ()
        self.total = 0

    def add(self, case: str, prediction: str, truth: str, labels: Sequence[str]) -> bool:
        """One case, or a correction of one that is still kept; whether it is a new one.

        Args:
            case: the answer's id: who tells it twice tells of one patient.
            prediction, truth: labels.
            labels: of the model, all.

        Raises:
            ValueError: the model has no such label.
        """
        for what, label in (("prediction", prediction), ("truth", truth)):
            if label not in labels:
                raise ValueError(f"feedback: {what}: expected one of {', '.join(labels) or 'no label'}, got another.")
        self._labels = tuple(labels)
        fresh = case not in self._by_id
        self._by_id[case] = prediction, truth
        if len(self._by_id) > self._length:
            self._by_id.popitem(last=False)
        self.total += fresh
        return fresh

    def remember(self, earlier: Iterable[tuple[str, str, str]], labels: Sequence[str]) -> None:
        """Cases that were told before all others, oldest first. What has been said since stands.

        Args:
            earlier: case, prediction and truth of each; one with a label that the model no longer has is left out.
            labels: of the model, all.
        """
        fitting = {case: (said, truth) for case, said, truth in earlier if said in labels and truth in labels}
        self._labels = tuple(labels)
        self.total += len(fitting.keys() - self._by_id.keys())
        self._by_id = OrderedDict([*(fitting | self._by_id).items()][-self._length :])

    def sensitivity(self) -> dict[str, tuple[int, int]]:
        """By label: cases that have it, found and all."""
        return {label: _count(said == label for said, truth in self._cases if truth == label) for label in self._labels}

    def specificity(self) -> dict[str, tuple[int, int]]:
        """By label: cases that do not have it, not called so and all."""
        return {label: _count(said != label for said, truth in self._cases if truth != label) for label in self._labels}

    @property
    def _cases(self) -> Collection[tuple[str, str]]:
        return self._by_id.values()

    def performance(self) -> state.Performance | None:
        """With intervals; None where there is no case."""
        if not self._cases:
            return None
        return state.Performance(
            count=len(self._cases),
            total=self.total,
            accuracy=_share(*_count(said == truth for said, truth in self._cases)),
            sensitivity={label: _share(*counts) for label, counts in self.sensitivity().items()},
            specificity={label: _share(*counts) for label, counts in self.specificity().items()},
        )


def _count(right: Iterable[bool]) -> tuple[int, int]:
    answers = [*right]
    return sum(answers), len(answers)


def _share(right: int, of: int) -> state.Share:
    if not of:
        return state.Share(right=0, of=0, value=None, low=None, high=None)
    low, high = wilson(right, of)
    return state.Share(right=right, of=of, value=right / of, low=low, high=high)


def wilson(right: int, of: int) -> tuple[float, float]:
    """95 % interval of a share of at least one case.

    scipy.stats.binomtest gives the same after a millisecond, in which the event loop answers nobody.
    Source: Wilson, "Probable inference, the law of succession, and statistical inference", 1927.
    """
    share, odd = right / of, _Z * _Z / of
    middle, half = share + odd / 2, math.sqrt(share * (1 - share) * odd + odd * odd / 4)
    return max(0.0, (middle - half) / (1 + odd)), min(1.0, (middle + half) / (1 + odd))
