"""The lower precisions of an exported model: made from its FP32 file, compared, repaired if need be."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from export.artefact import PRECISIONS
from export.parity import Reference
from export.pictures import FEWEST, Items
from export.precision.half import write_half
from export.precision.int8 import SYMMETRIC, UNSIGNED, Form
from export.precision.repair import quantised
from export.variant import Variant
from report.comparison import Comparison

HALF = "fp16.onnx"


def variants(
    reference: Reference,
    calibrating: Items,
    fp32: Path,
    *,
    trained: bool,
    anyway: bool,
    precisions: Sequence[str] = PRECISIONS,
) -> Iterator[Variant]:
    """FP16, and INT8 in both forms: each made beside the FP32 file, or the reason why not.

    Args:
        reference: what they are held to.
        calibrating: finds the ranges of INT8.
        fp32: the file that passed its gate.
        trained: whether its weights were.
        anyway: make INT8 even where its ranges mean nothing: to see that it builds.
        precisions: those that are requested.
    """
    eight_bits = partial(_eight_bits, reference, calibrating, fp32, trained=trained, anyway=anyway)
    makers: list[tuple[str, str, Callable[[], Variant]]] = [
        (HALF, "fp16", lambda: _half(reference, fp32)),
        *((form.file, "int8", partial(eight_bits, form)) for form in (SYMMETRIC, UNSIGNED)),
    ]
    unsupported = dict(reference.spec.unsupported)
    for name, precision, make in makers:
        if precision not in precisions:
            continue
        if reason := unsupported.get(precision):
            yield _not_made(name, precision, f"unsupported: {reason}")
            continue
        try:
            yield make()
        except Exception as exc:  # a converter's: no reason to withhold the FP32 file, which passed
            yield _not_made(name, precision, f"could not be made: {type(exc).__name__}: {exc}")


def _not_made(name: str, precision: str, reason: str) -> Variant:
    return Variant(name=name, precision=precision, file=None, why=(reason,))


def _uncalibrated(calibrating: Items, *, trained: bool) -> str:
    """Why the ranges of INT8 would mean nothing; "" where they do."""
    if not trained:
        return "untrained weights: there is nothing to calibrate"
    if calibrating.origin.synthetic:
        return "calibrated on synthetic data: eight bits need real pictures, PICTURES=…"
    if blank := _blank(calibrating):
        return f"not calibrated: {blank} of {len(calibrating)} pictures to calibrate on are blank: take them out"
    if len(calibrating) < FEWEST:
        return f"not calibrated: expected at least {FEWEST} pictures to calibrate on, got {len(calibrating)}: give more"
    return ""


def _blank(items: Items) -> int:
    """How many pictures have one value everywhere, as black ones do."""
    pictures = [array for array in items.inputs.values() if array.ndim > 3]
    return int(sum((np.ptp(array.reshape(len(array), -1), axis=1) == 0).sum() for array in pictures))


def _half(reference: Reference, fp32: Path) -> Variant:
    file = fp32.with_name(HALF)
    fingerprint = write_half(fp32, file)
    # OpenVINO would run it in the CPU's own precision, not in its own: FP16 is for GPUs.
    comparisons = reference.comparisons(file, "fp16", ["onnxruntime"], fingerprint)
    return Variant(
        name=HALF, precision="fp16", file=file, fingerprint=fingerprint, comparisons=comparisons,
        why=_why(comparisons),
    )  # fmt: skip


def _eight_bits(
    reference: Reference, calibrating: Items, fp32: Path, form: Form, *, trained: bool, anyway: bool
) -> Variant:
    reason = _uncalibrated(calibrating, trained=trained)
    if reason and not (anyway and len(calibrating)):
        return _not_made(form.file, "int8", reason)
    made = quantised(reference, calibrating, fp32, form)
    return Variant(
        name=form.file,
        precision="int8",
        file=made.file,
        fingerprint=made.fingerprint,
        comparisons=made.comparisons,
        quantised=made.how,
        why=(*([reason] if reason else []), *_why(made.comparisons)),
    )


def _why(comparisons: tuple[Comparison, ...]) -> tuple[str, ...]:
    """Nothing where an engine passed; else what each said."""
    if any(not comparison.refused for comparison in comparisons):
        return ()
    return tuple(sentence for comparison in comparisons for sentence in comparison.refused)
