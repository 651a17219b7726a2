"""The lower precisions of an exported model: made from its FP32 file, compared, repaired if need be."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from export.parity import Reference
from export.pictures import FEWEST, Items
from export.precision.half import write_half
from export.precision.int8 import SYMMETRIC, UNSIGNED, Form
from export.precision.repair import quantised
from export.wanted import Wanted
from report.card import Quantised
from report.comparison import Comparison

HALF = "fp16.onnx"


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """A file that was made, and what the gate said.

    Args:
        file: where it lies; None where none was made.
        why: sentences; empty where an engine passed.
    """

    name: str
    precision: str
    file: Path | None
    fingerprint: tuple[int, int] = (0, 0)
    comparisons: tuple[Comparison, ...] = ()
    quantised: Quantised | None = None
    why: tuple[str, ...] = ()

    @property
    def path(self) -> Path:
        """Where it lies, of one that was made."""
        if self.file is None:
            raise ValueError(f"{self.name}: was not made")
        return self.file


def variants(
    reference: Reference, calibrating: Items, fp32: Path, *, trained: bool, wanted: Wanted
) -> Iterator[Variant]:
    """FP16, and INT8 in both forms: each made beside the FP32 file, or the reason why not.

    Args:
        reference: what they are held to.
        calibrating: finds the ranges of INT8.
        fp32: the file that passed its gate.
        trained: whether its weights were.
        wanted: see Wanted.
    """
    unsupported = dict(reference.spec.unsupported)
    if reason := unsupported.get("fp16"):
        yield Variant(name=HALF, precision="fp16", file=None, why=(f"unsupported: {reason}",))
    else:
        yield _half(reference, fp32)
    for form in (SYMMETRIC, UNSIGNED):
        if reason := unsupported.get("int8"):
            yield Variant(name=form.file, precision="int8", file=None, why=(f"unsupported: {reason}",))
        elif reason := _not_calibrated(calibrating, trained=trained, wanted=wanted):
            yield Variant(name=form.file, precision="int8", file=None, why=(reason,))
        else:
            yield _eight_bits(reference, calibrating, fp32, form)


def _not_calibrated(calibrating: Items, *, trained: bool, wanted: Wanted) -> str:
    if not len(calibrating):
        return "not calibrated: none of the pictures fell to calibration: give more"
    if wanted.synthetic:
        return ""
    if not trained:
        return "untrained weights: there is nothing to calibrate"
    if calibrating.origin.synthetic:
        return "not calibrated: eight bits need real pictures, PICTURES=…"
    if len(calibrating) < FEWEST:
        return f"not calibrated: expected at least {FEWEST} pictures to calibrate on, got {len(calibrating)}: give more"
    return ""


def _half(reference: Reference, fp32: Path) -> Variant:
    file = fp32.with_name(HALF)
    fingerprint = write_half(fp32, file)
    # OpenVINO would run it in the CPU's own precision, not in its own: FP16 is for GPUs.
    comparisons = reference.comparisons(file, "fp16", ["onnxruntime"])
    return Variant(
        name=HALF, precision="fp16", file=file, fingerprint=fingerprint, comparisons=comparisons,
        why=_why(comparisons),
    )  # fmt: skip


def _eight_bits(reference: Reference, calibrating: Items, fp32: Path, form: Form) -> Variant:
    made = quantised(reference, calibrating, fp32, form)
    return Variant(
        name=form.file,
        precision="int8",
        file=made.file,
        fingerprint=made.fingerprint,
        comparisons=made.comparisons,
        quantised=made.how,
        why=_why(made.comparisons),
    )


def _why(comparisons: tuple[Comparison, ...]) -> tuple[str, ...]:
    """Nothing where an engine passed; else what each said."""
    if any(not comparison.refused for comparison in comparisons):
        return ()
    return tuple(sentence for comparison in comparisons for sentence in comparison.refused)
