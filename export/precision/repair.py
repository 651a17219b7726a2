"""INT8 that passes its gate, or the figures that show why none does.

First the way of finding ranges that harms the calibration pictures least, then, if the gate still
refuses, the fewest most harmful layers back in FP32.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import onnx

from export.engines import here
from export.parity import Reference
from export.pictures import Items
from export.precision.int8 import Form, write_quantised
from export.precision.nodes import layers
from export.precision.ranges import METHODS, Ranges, activations, ranges
from export.precision.sensitivity import Harm
from report.card import Quantised
from report.comparison import Comparison

BUDGET = 0.5  # of the layers; an INT8 file with fewer is none
RANKED_ON = 24  # calibration items: enough to rank layers by


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """A quantised file and how it came about."""

    file: Path
    fingerprint: tuple[int, int]
    comparisons: tuple[Comparison, ...]
    how: Quantised

    @property
    def passed(self) -> bool:
        """On every engine of this machine."""
        return self.passes == len(self.comparisons)

    @property
    def passes(self) -> int:
        """On how many engines."""
        return sum(not comparison.refused for comparison in self.comparisons)


def quantised(reference: Reference, calibrating: Items, fp32: Path, form: Form) -> Made:
    """The INT8 form that keeps as few layers in FP32 as the gate allows on every engine of this machine.

    Where no such form is found within the budget, the first that passed on most of them, which may run it; or, as
    proof of why there is none, the one with every layer.

    Args:
        reference: what it is held to.
        calibrating: finds the ranges, and ranks the layers.
        fp32: the FP32 artefact; the INT8 file is written beside it.
        form: see Form.
    """
    attempt = _Attempts(reference, calibrating, fp32, form)
    best = attempt.keeping(0)
    count, limit = 1, int(BUDGET * best.how.layers)
    while not best.passed and count <= limit:
        best = max(best, attempt.keeping(count), key=lambda made: made.passes)  # of equals the first
        count *= 2
    if best.passed and (kept := len(best.how.kept)) > 1:
        return attempt.keeping(_fewest(attempt, kept))
    return attempt.keeping(len(best.how.kept))


def _fewest(attempt: _Attempts, enough: int) -> int:
    """The smallest number of layers between half of `enough`, which was too few, and `enough`."""
    few = enough // 2
    while enough - few > 1:
        middle = (few + enough) // 2
        few, enough = (few, middle) if attempt.keeping(middle).passed else (middle, enough)
    return enough


class _Attempts:
    """One file, quantised again and again."""

    def __init__(self, reference: Reference, calibrating: Items, fp32: Path, form: Form) -> None:
        self._reference, self._calibrating, self._fp32, self._form = reference, calibrating, fp32, form
        self._file = fp32.with_name(form.file)
        ranked_on = {name: array[:RANKED_ON] for name, array in calibrating.inputs.items()}
        self._harm = Harm(onnx.load(fp32), ranked_on)
        self._ranges = self._best_ranges()
        self._order: list[str] = []
        self._looks = 0
        self._last: Made | None = None

    def keeping(self, count: int) -> Made:
        """Quantise all but the `count` most harmful layers, and ask the gate."""
        if self._last is not None and len(self._last.how.kept) == count:
            return self._last
        if count and not self._order:
            self._order = self._ranked()
        kept = tuple(self._order[:count])
        fingerprint = write_quantised(self._fp32, self._file, self._ranges, self._form, kept)
        self._looks += 1
        self._last = Made(
            file=self._file,
            fingerprint=fingerprint,
            comparisons=self._reference.comparisons(self._file, "int8", here(), fingerprint),
            how=Quantised(
                form=self._form.name,
                ranges=self._ranges.method,
                calibrated=self._calibrating.origin,
                layers=len(layers(onnx.load(self._fp32))) - count,
                kept=kept,
                looks=self._looks,
            ),
        )
        return self._last

    def _best_ranges(self) -> Ranges:
        """Of METHODS, the one that changes the feature maps of the calibration items least."""
        seen = activations(self._fp32, self._calibrating.inputs)
        found = []
        for method in METHODS:
            tried = ranges(seen, method)
            write_quantised(self._fp32, self._file, tried, self._form)
            found.append((self._harm.of(onnx.load(self._file)), tried))
        return min(found, key=lambda pair: pair[0])[1]

    def _ranked(self) -> list[str]:
        return [name for name, _ in self._harm.by_layer(onnx.load(self._file))]
