"""The ranges of a network's activations on calibration inputs: how wide eight bits must reach."""

from __future__ import annotations

import contextlib
import io
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnxruntime.quantization.calibrate import CalibrationDataReader, CalibrationMethod, TensorsData, create_calibrator

from export.precision.nodes import layers

BATCH = 4
BINS = 2048


@dataclass(frozen=True, slots=True)
class Seen:
    """The values of one activation: a histogram, and the ends of what occurred."""

    counts: NDArray[np.float64]
    centres: NDArray[np.float64]
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Ranges:
    """By tensor, and the name of the method that found them."""

    method: str
    tensors: TensorsData


Ends = tuple[float, float]


def all_values(seen: Seen) -> Ends:
    """None is cut off."""
    return seen.low, seen.high


def percentile(share: float) -> Callable[[Seen], Ends]:
    """So many percent lie below the upper end, and above the lower."""

    def ends(seen: Seen) -> Ends:
        below = seen.counts.cumsum() / seen.counts.sum()
        low = seen.centres[int(np.searchsorted(below, 1 - share / 100))]
        high = seen.centres[min(int(np.searchsorted(below, share / 100)), len(below) - 1)]
        return max(float(low), seen.low), min(float(high), seen.high)

    return ends


# Few values lie far out: a range that holds them all leaves few steps for the others, one that cuts
# too many bends the answers. Which is worse differs by network: the exporter tries each.
METHODS: Mapping[str, Callable[[Seen], Ends]] = {
    "all values": all_values,
    "99.999 %": percentile(99.999),
    "99.99 %": percentile(99.99),
    "99.9 %": percentile(99.9),
}


def ranges(seen: Mapping[str, Seen], method: str) -> Ranges:
    """The ends of every activation, by one of METHODS."""
    found = {name: METHODS[method](values) for name, values in seen.items()}
    ends = {name: (np.float32(low), np.float32(high)) for name, (low, high) in found.items()}
    return Ranges(method, TensorsData(CalibrationMethod.MinMax, ends))


def activations(file: Path, inputs: Mapping[str, NDArray[np.generic]]) -> dict[str, Seen]:
    """What the layers that may be quantised read and give, by tensor.

    Args:
        file: the FP32 artefact.
        inputs: net inputs by name, [N, ...].
    """
    kinds = sorted({node.op_type for node in layers(onnx.load(file, load_external_data=False))})
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):  # it prints
        # Percentile: the one of onnxruntime's calibrators that keeps histograms of signed values.
        calibrator = create_calibrator(
            file,
            kinds,
            str(Path(folder, "augmented.onnx")),
            CalibrationMethod.Percentile,
            extra_options={"symmetric": False, "num_bins": BINS},
        )
        for batch in _batches(inputs):
            calibrator.collect_data(_Once(batch))
            calibrator.clear_collected_data()  # it would keep every activation of every picture
        histograms = calibrator.collector.histogram_dict
    return {name: _seen(*histogram[:4]) for name, histogram in histograms.items()}


def _seen(counts: NDArray[np.float64], edges: NDArray[np.float64], low: float, high: float) -> Seen:
    wide = edges.astype(np.float64)
    return Seen(counts.astype(np.float64), (wide[:-1] + wide[1:]) / 2, float(low), float(high))


def _batches(inputs: Mapping[str, NDArray[np.generic]]) -> Iterator[dict[str, NDArray[np.generic]]]:
    count = len(next(iter(inputs.values())))
    for start in range(0, count, BATCH):
        yield {name: array[start : start + BATCH] for name, array in inputs.items()}


class _Once(CalibrationDataReader):  # type: ignore[misc]
    """One batch, as onnxruntime wants to be given it."""

    def __init__(self, batch: dict[str, NDArray[np.generic]]) -> None:
        self._left = [batch]

    def get_next(self) -> dict[str, NDArray[np.generic]] | None:
        return self._left.pop() if self._left else None
