"""Rolling sensitivity and specificity, from the radiologists' labels."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

import gateway.drift.state as state

_Z = 1.959963984540054  # standard deviations that hold 95 % of a normal distribution


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """An answer that a radiologist has labelled.

    Args:
        id: of the answer: who tells it twice tells of one patient.
        artefact: SHA-256 of the network's file that answered.
        prediction, truth: labels.
    """

    id: str
    artefact: str
    prediction: str
    truth: str


class Feedback:
    """One model's labelled answers, as long as what gave them is what answers now.

    Args:
        length: most that are kept.
    """

    def __init__(self, length: int) -> None:
        self._length = length
        self._by_id: OrderedDict[str, Case] = OrderedDict()
        self._labels: tuple[str, ...] = ()
        self.total = 0

    def add(self, case: Case, labels: Sequence[str]) -> bool:
        """One case, or a correction of one that is still kept; whether it is a new one.

        Args:
            case: the answer and the radiologist's label.
            labels: of the model, all.

        Raises:
            ValueError: the model has no such label.
        """
        for what, label in (("prediction", case.prediction), ("truth", case.truth)):
            if label not in labels:
                raise ValueError(f"feedback: {what}: expected one of {', '.join(labels) or 'no label'}, got another.")
        self._labels = tuple(labels)
        fresh = case.id not in self._by_id
        self._by_id[case.id] = case
        if len(self._by_id) > self._length:
            self._by_id.popitem(last=False)
        self.total += fresh
        return fresh

    def keep(self, labels: Sequence[str], artefacts: Collection[str], earlier: Iterable[Case] = ()) -> bool:
        """Forget what another network or one with other labels answered; whether anything has changed.

        Args:
            labels: of the model, all.
            artefacts: SHA-256 of the files that it may run; empty: not known, so that each counts.
            earlier: cases from before all others, oldest first, to be counted too; what was said since stands.
        """
        before, self._labels = (self._labels, self._by_id), tuple(labels)
        known = {case.id: case for case in earlier} | self._by_id
        fitting = [
            (name, case)
            for name, case in known.items()
            if case.prediction in labels and case.truth in labels and (not artefacts or case.artefact in artefacts)
        ]
        self.total += sum(name not in self._by_id for name, _ in fitting)
        self._by_id = OrderedDict(fitting[-self._length :])
        return before != (self._labels, self._by_id)

    def sensitivity(self) -> dict[str, tuple[int, int]]:
        """By label: cases that have it, found and all."""
        return {
            label: _count(case.prediction == label for case in self._cases if case.truth == label)
            for label in self._labels
        }

    def specificity(self) -> dict[str, tuple[int, int]]:
        """By label: cases that do not have it, not called so and all."""
        return {
            label: _count(case.prediction != label for case in self._cases if case.truth != label)
            for label in self._labels
        }

    @property
    def _cases(self) -> Collection[Case]:
        return self._by_id.values()

    def performance(self) -> state.Performance | None:
        """With intervals; None where there is no case."""
        if not self._cases:
            return None
        return state.Performance(
            count=len(self._cases),
            total=self.total,
            accuracy=_share(*_count(case.prediction == case.truth for case in self._cases)),
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
